package ward.testing;

import ward.kernel.Fd;
import ward.kernel.Ioctl;
import ward.kernel.Kernel;
import ward.kernel.KernelCallException;
import ward.kernel.NativeMemory;
import ward.kernel.SignalInfo;

/**
 * A kernel that nobody may call: fakes override what the code under test has a need of, and every
 * other call fails the test.
 */
public abstract class RefusingKernel implements Kernel {

  @Override
  public Fd open(String path, int flags) throws KernelCallException {
    throw unexpected("open");
  }

  @Override
  public Fd openUserfaultfd(int flags) throws KernelCallException {
    throw unexpected("openUserfaultfd");
  }

  @Override
  public Fd createMemfd(String name, long lengthBytes) throws KernelCallException {
    throw unexpected("createMemfd");
  }

  @Override
  public Fd adopt(int number, String name) {
    throw unexpected("adopt");
  }

  @Override
  public long read(Fd fd, long address, long lengthBytes) {
    throw unexpected("read");
  }

  @Override
  public int ioctl(Fd fd, Ioctl request, long argument) {
    throw unexpected("ioctl");
  }

  @Override
  public long mapAnonymous(long lengthBytes) throws KernelCallException {
    throw unexpected("mapAnonymous");
  }

  @Override
  public long mapShared(Fd fd, long offsetBytes, long lengthBytes, int protection)
      throws KernelCallException {
    throw unexpected("mapShared");
  }

  @Override
  public int mapOver(Fd fd, long offsetBytes, long address, long lengthBytes) {
    throw unexpected("mapOver");
  }

  @Override
  public int seal(Fd memfd, int seals) {
    throw unexpected("seal");
  }

  @Override
  public int unmap(long address, long lengthBytes) {
    throw unexpected("unmap");
  }

  @Override
  public int advise(long address, long lengthBytes, int advice) {
    throw unexpected("advise");
  }

  @Override
  public long copy(long toAddress, long fromAddress, long lengthBytes) {
    throw unexpected("copy");
  }

  @Override
  public long load(long toAddress, long fromAddress, long lengthBytes) {
    return copy(toAddress, fromAddress, lengthBytes);
  }

  @Override
  public int threadId() {
    throw unexpected("threadId");
  }

  @Override
  public int signalThread(int threadId, int signal) {
    throw unexpected("signalThread");
  }

  @Override
  public int blockSignals(long mask) {
    throw unexpected("blockSignals");
  }

  @Override
  public int hearOfErrorsEarly() {
    throw unexpected("hearOfErrorsEarly");
  }

  @Override
  public int takeSignal(long mask, SignalInfo taken, long timeoutNanos) {
    throw unexpected("takeSignal");
  }

  @Override
  public int fold(long address, long lengthBytes, NativeMemory hash, SignalInfo fault) {
    throw unexpected("fold");
  }

  @Override
  public int touch(long touches, long count) {
    throw unexpected("touch");
  }

  private AssertionError unexpected(String call) {
    return new AssertionError("%s has no answer to %s()".formatted(getClass().getName(), call));
  }
}
