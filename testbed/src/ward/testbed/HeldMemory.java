package ward.testbed;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.OptionalLong;
import ward.guest.Guest;
import ward.guest.GuestMemory;
import ward.kernel.Kernel;
import ward.kernel.Linux;
import ward.memory.GuestLayout;
import ward.memory.GuestRegion;
import ward.memory.Pages;
import ward.owner.proto.Memory;
import ward.owner.proto.Range;
import ward.owner.proto.Region;
import ward.uffd.Userfaultfd;

/**
 * The memory of {@link Holder}: mapped and registered, and what was given back of it. No thread of
 * Java ever touches it.
 */
final class HeldMemory {

  private final Kernel kernel;
  private final GuestMemory memory;
  private final Userfaultfd userfaultfd;
  private final long features;
  private final List<Range> givenBack = new ArrayList<>();

  HeldMemory(Kernel kernel, Guest guest) throws IOException {
    this.kernel = kernel;
    this.memory = guest.memory();
    this.features = Userfaultfd.wantedFeatures(kernel);
    this.userfaultfd = Userfaultfd.open(kernel);
    for (int i = 0; i < memory.layout().regions().size(); i++) {
      userfaultfd.register(
          memory.hostAddressOfRegion(i), memory.layout().regions().get(i).lengthBytes());
    }
  }

  Userfaultfd userfaultfd() {
    return userfaultfd;
  }

  GuestLayout layout() {
    return memory.layout();
  }

  /** As the next daemon is told of it. */
  synchronized Memory description(boolean hasRun) {
    Memory.Builder description =
        Memory.newBuilder()
            .setVersion(1)
            .setGuest(layout().guest())
            .setFeatures(features)
            .setHasRun(hasRun)
            .addAllGivenBack(givenBack);
    for (int i = 0; i < layout().regions().size(); i++) {
      GuestRegion region = layout().regions().get(i);
      description.addRegions(
          Region.newBuilder()
              .setGuestPhysicalAddress(region.guestPhysicalAddress())
              .setLengthBytes(region.lengthBytes())
              .setHostAddress(memory.hostAddressOfRegion(i)));
    }
    return description.build();
  }

  /**
   * Gives pages back. Remembered first: the kernel tells it to one daemon once, and that one may
   * die of it. Waits until a daemon has read the event.
   */
  void giveBack(long guestPhysicalAddress, long pages) throws IOException {
    long address = hostAddress(guestPhysicalAddress, pages);
    synchronized (this) {
      givenBack.add(
          Range.newBuilder()
              .setGuestPhysicalAddress(guestPhysicalAddress)
              .setLengthBytes(Pages.bytes(pages))
              .build());
    }
    int answer = kernel.advise(address, Pages.bytes(pages), Linux.MADV_DONTNEED);
    if (answer < 0) {
      throw new IOException("MADV_DONTNEED answers " + answer);
    }
  }

  /** Where pages are mapped here. */
  long hostAddress(long guestPhysicalAddress, long pages) throws IOException {
    OptionalLong first = layout().runAt(guestPhysicalAddress, pages);
    return memory.hostAddressOf(
        first.orElseThrow(
            () ->
                new IOException(
                    "%d pages at 0x%x are not RAM".formatted(pages, guestPhysicalAddress))));
  }
}
