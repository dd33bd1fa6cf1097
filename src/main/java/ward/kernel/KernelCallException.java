package ward.kernel;

import java.io.IOException;
import jnr.constants.platform.Errno;

/** A system call the kernel refused: which call, on what, and why, in one line. */
public final class KernelCallException extends IOException {

  private final int errno;

  /**
   * @param call the name of the system call or ioctl
   * @param subject what it was called on
   * @param errno positive
   */
  public KernelCallException(Object call, Object subject, int errno) {
    super("%s on %s failed: %s".formatted(call, subject, describe(errno)));
    this.errno = errno;
  }

  /** The error's number, positive. */
  public int errno() {
    return errno;
  }

  /** Whether the kernel answered with this error. */
  public boolean is(Errno expected) {
    return errno == expected.intValue();
  }

  /** An errno as people read it: {@code EPERM (Operation not permitted)}. */
  public static String describe(int errno) {
    Errno known = Errno.valueOf(errno);
    return known == Errno.__UNKNOWN_CONSTANT__
        ? "errno " + errno
        : "%s (%s)".formatted(known.name(), known.description());
  }
}
