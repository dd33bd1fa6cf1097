package ward.vcpu;

import java.lang.reflect.Proxy;
import java.util.ArrayList;
import java.util.List;
import jnr.constants.platform.Errno;
import ward.guest.GuestMemory;
import ward.kernel.Kernel;
import ward.kernel.NativeMemory;
import ward.memory.GuestLayout;
import ward.memory.GuestRegion;
import ward.memory.Pages;

/**
 * Two pages of guest memory at GPA 0x1000, and a kernel that copies to and from them and can do
 * nothing else. It notes what it writes, and can be told that a page is poisoned.
 */
final class FakeGuestRam {

  static final long GPA = 0x1000;
  static final int SIZE_BYTES = 2 * Pages.SIZE_BYTES;

  /** Each write: {@code 8 bytes at 0x1010}. */
  final List<String> writes = new ArrayList<>();

  final Kernel kernel =
      (Kernel)
          Proxy.newProxyInstance(
              Kernel.class.getClassLoader(),
              new Class<?>[] {Kernel.class},
              (proxy, method, arguments) -> {
                if (!method.getName().equals("copy")) {
                  throw new AssertionError(method + " is never called here");
                }
                return copy((long) arguments[0], (long) arguments[1], (long) arguments[2]);
              });

  private final NativeMemory bytes = NativeMemory.allocate(SIZE_BYTES);
  private long poisonedGpa = -1;

  GuestMemory memory() {
    return new GuestMemory(
        new GuestLayout("fake", List.of(new GuestRegion(GPA, SIZE_BYTES, 0))),
        new long[] {bytes.address()});
  }

  void poison(long pageGpa) {
    poisonedGpa = pageGpa;
  }

  byte[] bytes(long gpa, int lengthBytes) {
    return bytes.getBytes(offset(gpa), lengthBytes);
  }

  void put(long gpa, byte[] content) {
    bytes.putBytes(offset(gpa), content);
  }

  long getLong(long gpa) {
    return bytes.getLong(offset(gpa));
  }

  void putLong(long gpa, long value) {
    bytes.putLong(offset(gpa), value);
  }

  private static int offset(long gpa) {
    return (int) (gpa - GPA);
  }

  private long copy(long to, long from, long lengthBytes) {
    if (isPoisoned(to) || isPoisoned(from)) {
      return -Errno.EFAULT.intValue();
    }
    if (isGuest(to)) {
      writes.add("%d bytes at 0x%x".formatted(lengthBytes, gpaOf(to)));
    }
    NativeMemory.at(to, (int) lengthBytes)
        .putBytes(0, NativeMemory.at(from, (int) lengthBytes).getBytes(0, (int) lengthBytes));
    return lengthBytes;
  }

  private long gpaOf(long address) {
    return GPA + address - bytes.address();
  }

  private boolean isGuest(long address) {
    return address >= bytes.address() && address < bytes.address() + SIZE_BYTES;
  }

  private boolean isPoisoned(long address) {
    return isGuest(address) && Pages.align(gpaOf(address)) == poisonedGpa;
  }
}
