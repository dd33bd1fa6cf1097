package ward.uffd;

import java.util.EnumSet;
import java.util.Set;
import ward.kernel.Fd;
import ward.kernel.Ioctl;
import ward.kernel.Kernel;
import ward.kernel.KernelCallException;
import ward.kernel.NativeMemory;

/**
 * The first ioctl on every userfaultfd.
 *
 * <pre>{@code
 * struct uffdio_api {
 *     __u64 api;       // 0xAA
 *     __u64 features;  // in: wanted; out: all that this kernel offers
 *     __u64 ioctls;    // out
 * };
 * }</pre>
 *
 * <p>It succeeds once per descriptor and fails if it asks for what the kernel does not offer, so
 * what is offered is asked on a descriptor of its own.
 */
final class Handshake {

  static final long API = 0xAA;
  static final int SIZE_BYTES = 24;
  static final int API_OFFSET = 0;
  static final int FEATURES = 8;
  static final Ioctl REQUEST =
      Ioctl.readWrite("UFFDIO_API", Userfaultfd.IOCTL_TYPE, 0x3f, SIZE_BYTES);

  /**
   * Enabled where offered. Poison works without being asked for; asking says what we rely on.
   *
   * <p>Without EVENT_UNMAP on purpose: with it, whoever unmaps the memory waits until somebody
   * reads the event, and the one who ends a migration is the one who has stopped reading. What is
   * placed in memory that is gone answers ENOENT anyway.
   */
  static final Set<Feature> WANTED =
      EnumSet.of(Feature.POISON, Feature.EVENT_REMOVE, Feature.THREAD_ID);

  private Handshake() {}

  /** What the kernel offers, asked on a descriptor that is closed again. */
  static long offered(Kernel kernel) throws UserfaultfdException {
    try (Fd scratch = Descriptor.open(kernel)) {
      return perform(kernel, scratch, 0);
    }
  }

  /** A descriptor that is ready for use, with the feature that the markers need. */
  static Fd open(Kernel kernel, MarkerKind marker) throws UserfaultfdException {
    long offered = offered(kernel);
    if (marker == MarkerKind.UFFD) {
      requirePoison(offered);
    }
    Fd fd = Descriptor.open(kernel);
    try {
      perform(kernel, fd, offered & Feature.mask(WANTED));
      return fd;
    } catch (UserfaultfdException e) {
      fd.close();
      throw e;
    }
  }

  private static void requirePoison(long offered) throws UserfaultfdException {
    if (!Feature.POISON.isIn(offered)) {
      throw new UserfaultfdException(
          UserfaultfdException.Kind.NOT_SUPPORTED,
          "this kernel's userfaultfd offers features 0x%x, without UFFD_FEATURE_POISON (0x%x): it cannot mark lost pages. Run Linux %s or later, or mark them in another way"
              .formatted(offered, Feature.POISON.bit(), Feature.POISON.linuxVersion()));
    }
  }

  private static long perform(Kernel kernel, Fd fd, long features) throws UserfaultfdException {
    NativeMemory argument = NativeMemory.allocate(SIZE_BYTES);
    argument.putLong(API_OFFSET, API);
    argument.putLong(FEATURES, features);
    int answer = kernel.ioctl(fd, REQUEST, argument);
    if (answer < 0) {
      throw new UserfaultfdException(
          UserfaultfdException.Kind.FAILED,
          "%s on %s with api 0x%x and features 0x%x failed: %s"
              .formatted(REQUEST, fd, API, features, KernelCallException.describe(-answer)));
    }
    return argument.getLong(FEATURES);
  }
}
