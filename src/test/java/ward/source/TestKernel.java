package ward.source;

import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import jnr.constants.platform.Errno;
import ward.kernel.Fd;
import ward.kernel.KernelCallException;
import ward.kernel.NativeKernel;
import ward.memory.Pages;
import ward.testing.RefusingKernel;

/** The real kernel, except that some pages cannot be read, for a reason of the test's choice. */
final class TestKernel extends RefusingKernel {

  private final NativeKernel real = NativeKernel.load();
  private final Map<Long, Errno> unreadable = new ConcurrentHashMap<>();

  /** From now on the page at this host-virtual address ends every copy; a probe says why. */
  void spoil(long hostAddress, Errno reason) {
    unreadable.put(hostAddress, reason);
  }

  void mend(long hostAddress) {
    unreadable.remove(hostAddress);
  }

  @Override
  public long copy(long toAddress, long fromAddress, long lengthBytes) {
    for (long done = 0; done < lengthBytes; done += Pages.SIZE_BYTES) {
      if (unreadable.containsKey(fromAddress + done)) {
        return done == 0 ? -Errno.EFAULT.intValue() : real.copy(toAddress, fromAddress, done);
      }
    }
    return real.copy(toAddress, fromAddress, lengthBytes);
  }

  @Override
  public int advise(long address, long lengthBytes, int advice) {
    Errno reason = unreadable.get(address);
    return reason == null ? real.advise(address, lengthBytes, advice) : -reason.intValue();
  }

  @Override
  public Fd open(String path, int flags) throws KernelCallException {
    return real.open(path, flags);
  }

  @Override
  public long mapShared(Fd fd, long offsetBytes, long lengthBytes, int protection)
      throws KernelCallException {
    return real.mapShared(fd, offsetBytes, lengthBytes, protection);
  }

  @Override
  public int unmap(long address, long lengthBytes) {
    return real.unmap(address, lengthBytes);
  }
}
