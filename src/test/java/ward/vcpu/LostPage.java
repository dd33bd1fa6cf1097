package ward.vcpu;

import ward.kernel.Fd;
import ward.kernel.Kernel;
import ward.kernel.KernelCallException;
import ward.kernel.Linux;
import ward.memory.Pages;
import ward.testing.MemoryFailure;

/**
 * A page of this host that is lost in earnest, to be mapped where a test wants one: for kernels
 * that have no UFFDIO_POISON.
 */
final class LostPage implements AutoCloseable {

  private final Kernel kernel;
  private final Fd file;

  /** Skips the test where no page can be lost either. */
  LostPage(Kernel kernel) throws KernelCallException {
    MemoryFailure.require();
    this.kernel = kernel;
    this.file = kernel.createMemfd("lost", Pages.SIZE_BYTES);
    long page = kernel.mapShared(file, 0, Pages.SIZE_BYTES, Linux.PROT_READ | Linux.PROT_WRITE);
    require("MADV_POPULATE_WRITE", advise(page, Linux.MADV_POPULATE_WRITE));
    require("MADV_HWPOISON", advise(page, Linux.MADV_HWPOISON));
    kernel.unmap(page, Pages.SIZE_BYTES);
  }

  private int advise(long page, int advice) {
    return kernel.advise(page, Pages.SIZE_BYTES, advice);
  }

  private void require(String call, int answer) throws KernelCallException {
    if (answer < 0) {
      throw new KernelCallException(call, "a page of " + file, -answer);
    }
  }

  void putAt(long hostAddress) throws KernelCallException {
    require("mmap(MAP_FIXED)", kernel.mapOver(file, 0, hostAddress, Pages.SIZE_BYTES));
  }

  @Override
  public void close() {
    file.close();
  }
}
