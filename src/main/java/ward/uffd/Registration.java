package ward.uffd;

import java.lang.ref.Reference;
import java.util.ArrayList;
import java.util.List;
import jnr.constants.platform.Errno;
import ward.kernel.Fd;
import ward.kernel.Ioctl;
import ward.kernel.Kernel;
import ward.kernel.KernelCallException;
import ward.kernel.NativeMemory;

/**
 * Which ranges raise events.
 *
 * <pre>{@code
 * struct uffdio_register {
 *     struct uffdio_range range;  // start, len: multiples of the page size
 *     __u64 mode;                 // which faults
 *     __u64 ioctls;               // out: bit N is set if the range takes ioctl N
 * };
 * }</pre>
 */
final class Registration {

  static final int SIZE_BYTES = 32;
  static final int RANGE_BYTES = 16;
  static final int START = 0;
  static final int LENGTH = 8;
  static final int MODE = 16;
  static final int IOCTLS = 24;

  static final long MISSING = 1;
  static final long MINOR = 4;

  static final Ioctl REGISTER =
      Ioctl.readWrite("UFFDIO_REGISTER", Userfaultfd.IOCTL_TYPE, 0x00, SIZE_BYTES);
  // The next two are _IOR by an old mistake, though the kernel reads the struct.
  static final Ioctl UNREGISTER =
      Ioctl.read("UFFDIO_UNREGISTER", Userfaultfd.IOCTL_TYPE, 0x01, RANGE_BYTES);
  static final Ioctl WAKE = Ioctl.read("UFFDIO_WAKE", Userfaultfd.IOCTL_TYPE, 0x02, RANGE_BYTES);

  private static final long WAKE_BIT = 1L << 0x02;

  private Registration() {}

  static void add(
      Kernel kernel, Fd fd, long hostAddress, long lengthBytes, long mode, MarkerKind marker)
      throws UserfaultfdException {
    add(kernel, fd, hostAddress, lengthBytes, mode, needed(mode, marker));
  }

  /** Huge pages: the kernel has no UFFDIO_ZEROPAGE for them. */
  static void addHuge(Kernel kernel, Fd fd, long hostAddress, long lengthBytes)
      throws UserfaultfdException {
    List<FillRequest> needed = List.of(FillRequest.CONTINUE, FillRequest.POISON);
    add(kernel, fd, hostAddress, lengthBytes, MISSING | MINOR, needed);
  }

  private static void add(
      Kernel kernel, Fd fd, long hostAddress, long lengthBytes, long mode, List<FillRequest> needed)
      throws UserfaultfdException {
    NativeMemory argument = range(SIZE_BYTES, hostAddress, lengthBytes);
    argument.putLong(MODE, mode);
    int answer = kernel.ioctl(fd, REGISTER, argument);
    if (answer < 0) {
      throw refused(REGISTER, fd, hostAddress, lengthBytes, -answer);
    }
    List<String> lacking = lacking(argument.getLong(IOCTLS), needed);
    if (!lacking.isEmpty()) {
      kernel.ioctl(fd, UNREGISTER, argument);
      throw unfit(hostAddress, lengthBytes, argument.getLong(IOCTLS), lacking);
    }
  }

  static void remove(Kernel kernel, Fd fd, long hostAddress, long lengthBytes)
      throws UserfaultfdException {
    NativeMemory argument = range(RANGE_BYTES, hostAddress, lengthBytes);
    int answer = kernel.ioctl(fd, UNREGISTER, argument);
    Reference.reachabilityFence(argument);
    if (answer < 0) {
      throw refused(UNREGISTER, fd, hostAddress, lengthBytes, -answer);
    }
  }

  private static NativeMemory range(int sizeBytes, long hostAddress, long lengthBytes) {
    NativeMemory argument = NativeMemory.allocate(sizeBytes);
    argument.putLong(START, hostAddress);
    argument.putLong(LENGTH, lengthBytes);
    return argument;
  }

  private static List<FillRequest> needed(long mode, MarkerKind marker) {
    List<FillRequest> needed = new ArrayList<>();
    needed.add((mode & MINOR) == 0 ? FillRequest.COPY : FillRequest.CONTINUE);
    needed.add(FillRequest.ZEROPAGE);
    if (marker == MarkerKind.UFFD) {
      needed.add(FillRequest.POISON);
    }
    return needed;
  }

  private static List<String> lacking(long ioctls, List<FillRequest> needed) {
    List<String> lacking = new ArrayList<>();
    if ((ioctls & WAKE_BIT) == 0) {
      lacking.add(WAKE.name());
    }
    for (FillRequest request : needed) {
      if ((ioctls & request.bit()) == 0) {
        lacking.add(request.ioctl().name());
      }
    }
    return lacking;
  }

  /** hugetlbfs is known by the lack of UFFDIO_ZEROPAGE alone, which it has never had. */
  private static UserfaultfdException unfit(
      long hostAddress, long lengthBytes, long ioctls, List<String> lacking) {
    String remedy =
        lacking.equals(List.of(FillRequest.ZEROPAGE.ioctl().name()))
            ? "it is backed by hugetlbfs, which cannot be filled by 4 KiB pages: back the guest with ordinary memory or a memfd"
            : "run Linux %s or later, and back the guest with anonymous memory or a memfd"
                .formatted(Feature.POISON.linuxVersion());
    return new UserfaultfdException(
        UserfaultfdException.Kind.NOT_SUPPORTED,
        "%s does not take %s (ioctls 0x%x); %s"
            .formatted(
                describe(hostAddress, lengthBytes), String.join(", ", lacking), ioctls, remedy));
  }

  private static UserfaultfdException refused(
      Ioctl request, Fd fd, long hostAddress, long lengthBytes, int errno) {
    return new UserfaultfdException(
        UserfaultfdException.Kind.FAILED,
        "%s on %s of %s failed: %s%s"
            .formatted(
                request,
                fd,
                describe(hostAddress, lengthBytes),
                KernelCallException.describe(errno),
                hint(errno)));
  }

  private static String hint(int errno) {
    return switch (Errno.valueOf(errno)) {
      case EBUSY -> "; another userfaultfd has registered part of it";
      case EINVAL -> "; a mapped, page-aligned range of anonymous memory or a memfd is allowed";
      default -> "";
    };
  }

  private static String describe(long hostAddress, long lengthBytes) {
    return "the range of %d bytes at 0x%x".formatted(lengthBytes, hostAddress);
  }
}
