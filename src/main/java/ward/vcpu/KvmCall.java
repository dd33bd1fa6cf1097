package ward.vcpu;

import ward.kernel.Fd;
import ward.kernel.Ioctl;
import ward.kernel.Kernel;
import ward.kernel.KernelCallException;

/** A request none of whose errnos is an answer. */
final class KvmCall {

  private KvmCall() {}

  static int make(Kernel kernel, Fd fd, Ioctl request, long argument) throws KernelCallException {
    int result = kernel.ioctl(fd, request, argument);
    if (result < 0) {
      throw new KernelCallException(request, fd, -result);
    }
    return result;
  }
}
