package ward.uffd;

import jnr.constants.platform.Errno;
import ward.kernel.Fd;
import ward.kernel.Ioctl;
import ward.kernel.Kernel;
import ward.kernel.KernelCallException;
import ward.kernel.Linux;

/**
 * Opens userfaultfd descriptors that take faults of the kernel itself: KVM faults a guest's memory
 * in from kernel mode, so one made with {@code UFFD_USER_MODE_ONLY} would not do.
 *
 * @see <a href="https://docs.kernel.org/admin-guide/mm/userfaultfd.html">userfaultfd, "Creating a
 *     userfaultfd"</a>
 */
final class Descriptor {

  static final String NODE = "/dev/userfaultfd";
  static final Ioctl NEW = Ioctl.plain("USERFAULTFD_IOC_NEW", Userfaultfd.IOCTL_TYPE, 0x00);

  private static final int FLAGS = Linux.O_CLOEXEC | Linux.O_NONBLOCK;

  private Descriptor() {}

  /** A new descriptor before its handshake: by the system call, else through the device node. */
  static Fd open(Kernel kernel) throws UserfaultfdException {
    try {
      return kernel.openUserfaultfd(FLAGS);
    } catch (KernelCallException e) {
      if (e.is(Errno.EPERM)) {
        return openThroughNode(kernel, e);
      }
      throw refused(e);
    }
  }

  private static Fd openThroughNode(Kernel kernel, KernelCallException bySystemCall)
      throws UserfaultfdException {
    try (Fd node = kernel.open(NODE, Linux.O_RDWR | Linux.O_CLOEXEC)) {
      int number = kernel.ioctl(node, NEW, FLAGS);
      if (number < 0) {
        throw new KernelCallException(NEW, node, -number);
      }
      return kernel.adopt(number, "userfaultfd");
    } catch (KernelCallException e) {
      e.addSuppressed(bySystemCall);
      throw notPermitted(bySystemCall, e);
    }
  }

  private static UserfaultfdException notPermitted(
      KernelCallException bySystemCall, KernelCallException byNode) {
    return new UserfaultfdException(
        UserfaultfdException.Kind.NOT_PERMITTED,
        "%s; %s. Any one of these helps: run with CAP_SYS_PTRACE, or `sysctl vm.unprivileged_userfaultfd=1`, or read and write access to %s (Linux 6.1)"
            .formatted(bySystemCall.getMessage(), byNode.getMessage(), NODE),
        byNode);
  }

  private static UserfaultfdException refused(KernelCallException e) {
    return e.is(Errno.ENOSYS)
        ? new UserfaultfdException(
            UserfaultfdException.Kind.NOT_SUPPORTED,
            e.getMessage() + "; the kernel needs CONFIG_USERFAULTFD=y",
            e)
        : new UserfaultfdException(UserfaultfdException.Kind.FAILED, e.getMessage(), e);
  }
}
