package ward.vcpu;

import java.util.Optional;
import java.util.OptionalLong;
import ward.guest.GuestMemory;
import ward.kernel.Kernel;
import ward.kernel.NativeMemory;
import ward.memory.Pages;

/** Guest memory of this process, copied by the kernel. For one thread. */
final class CopiedGuestBytes implements GuestBytes {

  private final Kernel kernel;
  private final GuestMemory memory;
  private final NativeMemory buffer = NativeMemory.allocate(Pages.SIZE_BYTES);

  CopiedGuestBytes(Kernel kernel, GuestMemory memory) {
    this.kernel = kernel;
    this.memory = memory;
  }

  @Override
  public Optional<byte[]> read(long guestPhysicalAddress, int lengthBytes) {
    OptionalLong page = memory.layout().pageAt(guestPhysicalAddress);
    if (page.isEmpty()) {
      return Optional.empty();
    }
    long offset = guestPhysicalAddress - Pages.align(guestPhysicalAddress);
    long from = memory.hostAddressOf(page.getAsLong()) + offset;
    long copied = kernel.copy(buffer.address(), from, lengthBytes);
    return copied == lengthBytes ? Optional.of(buffer.getBytes(0, lengthBytes)) : Optional.empty();
  }
}
