package ward.vcpu;

import ward.kernel.Fd;
import ward.kernel.Ioctl;
import ward.kernel.Kernel;
import ward.kernel.KernelCallException;
import ward.kernel.NativeMemory;

/** A request none of whose errnos is an answer. */
final class KvmCall {

  private KvmCall() {}

  /**
   * @param argument a value
   */
  static int make(Kernel kernel, Fd fd, Ioctl request, long argument) throws KernelCallException {
    return checked(fd, request, kernel.ioctl(fd, request, argument));
  }

  /**
   * @param argument a struct, which the kernel may write
   */
  static int make(Kernel kernel, Fd fd, Ioctl request, NativeMemory argument)
      throws KernelCallException {
    return checked(fd, request, kernel.ioctl(fd, request, argument));
  }

  private static int checked(Fd fd, Ioctl request, int result) throws KernelCallException {
    if (result < 0) {
      throw new KernelCallException(request, fd, -result);
    }
    return result;
  }
}
