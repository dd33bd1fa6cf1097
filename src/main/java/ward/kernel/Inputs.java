package ward.kernel;

import jnr.constants.platform.Errno;

/**
 * Several descriptors that one thread waits for together.
 *
 * @see <a href="https://man7.org/linux/man-pages/man7/epoll.7.html">epoll(7)</a>
 */
public final class Inputs implements AutoCloseable {

  private final NativeKernel.Stubs stubs = NativeKernel.stubs();
  private final Fd fd;

  private Inputs(Fd fd) {
    this.fd = fd;
  }

  /**
   * @throws KernelCallException if this process, or the machine, has too many open files
   */
  public static Inputs open() throws KernelCallException {
    long opened = NativeKernel.stubs().ward_inputs_open();
    if (opened < 0) {
      throw new KernelCallException("epoll_create1", "inputs", (int) -opened);
    }
    return new Inputs(
        new Fd("inputs", (int) opened, open -> NativeKernel.stubs().ward_close(open)));
  }

  /** From now on; also for a thread that waits already. */
  public void add(int descriptor) throws KernelCallException {
    long answer = stubs.ward_inputs_watch(fd.number(), descriptor, 1);
    if (answer < 0) {
      throw new KernelCallException("epoll_ctl", "descriptor " + descriptor, (int) -answer);
    }
  }

  /** Before the descriptor is closed; nothing if it was never added. */
  public void remove(int descriptor) {
    stubs.ward_inputs_watch(fd.number(), descriptor, 0);
  }

  /** Waits until one of them can be read or has ended, or the time is over. */
  public void await(int timeoutMillis) throws KernelCallException {
    long answer = stubs.ward_inputs_await(fd.number(), timeoutMillis);
    if (answer < 0 && answer != -Errno.EINTR.intValue()) {
      throw new KernelCallException("epoll_wait", fd.toString(), (int) -answer);
    }
  }

  @Override
  public void close() {
    fd.close();
  }
}
