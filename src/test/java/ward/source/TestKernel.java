package ward.source;

import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import jnr.constants.platform.Errno;
import ward.kernel.Fd;
import ward.kernel.Ioctl;
import ward.kernel.Kernel;
import ward.kernel.KernelCallException;
import ward.kernel.NativeKernel;
import ward.kernel.NativeMemory;
import ward.kernel.SignalInfo;
import ward.memory.Pages;

/** The real kernel, except that some pages cannot be read, for a reason of the test's choice. */
final class TestKernel implements Kernel {

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

  @Override
  public Fd openUserfaultfd(int flags) {
    throw unexpected();
  }

  @Override
  public Fd createMemfd(String name, long lengthBytes) {
    throw unexpected();
  }

  @Override
  public Fd adopt(int number, String name) {
    throw unexpected();
  }

  @Override
  public long read(Fd fd, long address, long lengthBytes) {
    throw unexpected();
  }

  @Override
  public int ioctl(Fd fd, Ioctl request, long argument) {
    throw unexpected();
  }

  @Override
  public long mapAnonymous(long lengthBytes) {
    throw unexpected();
  }

  @Override
  public int mapOver(Fd fd, long offsetBytes, long address, long lengthBytes) {
    throw unexpected();
  }

  @Override
  public int seal(Fd memfd, int seals) {
    throw unexpected();
  }

  @Override
  public int threadId() {
    throw unexpected();
  }

  @Override
  public int signalThread(int threadId, int signal) {
    throw unexpected();
  }

  @Override
  public int blockSignals(long mask) {
    throw unexpected();
  }

  @Override
  public int takeSignal(long mask, SignalInfo taken, long timeoutNanos) {
    throw unexpected();
  }

  @Override
  public int fold(long address, long lengthBytes, NativeMemory hash, SignalInfo fault) {
    throw unexpected();
  }

  private static AssertionError unexpected() {
    return new AssertionError("a source never calls this");
  }
}
