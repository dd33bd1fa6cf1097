package ward.owner;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.OptionalLong;
import ward.guest.GuestMemory;
import ward.memory.GuestLayout;
import ward.memory.GuestRegion;
import ward.memory.PageRun;
import ward.memory.PageSet;
import ward.memory.Pages;
import ward.owner.proto.Memory;
import ward.owner.proto.Range;
import ward.owner.proto.Region;

/**
 * A guest's memory in another process, as that process describes it.
 *
 * @param memory host-virtual addresses are the owner's
 * @param givenBack page indexes: all that the guest gave back since the memory was registered
 * @param hasRun whether the guest was ever told to run there
 * @param features of the userfaultfd's handshake, {@code UFFD_FEATURE_*}
 * @param process the owner, as this process sees it
 */
public record OwnedMemory(
    GuestMemory memory, PageSet givenBack, boolean hasRun, long features, long process) {

  static final int VERSION = 1;

  /**
   * @throws OwnerException if it is no description of a guest's memory
   */
  static OwnedMemory of(Memory message, long process) throws OwnerException {
    if (message.getVersion() != VERSION) {
      throw new OwnerException(
          "the memory owner, process %d, speaks version %d of the owner's protocol; version %d is spoken here"
              .formatted(process, message.getVersion(), VERSION));
    }
    if (process == 0) {
      throw new OwnerException(
          "the memory owner's process is not visible from here; run both in one PID namespace");
    }
    try {
      GuestMemory memory = memory(message);
      return new OwnedMemory(
          memory,
          givenBack(message, memory.layout()),
          message.getHasRun(),
          message.getFeatures(),
          process);
    } catch (IllegalArgumentException | ArithmeticException e) {
      throw new OwnerException(
          "the memory owner, process %d, describes no guest's memory: %s"
              .formatted(process, e.getMessage()),
          e);
    }
  }

  private static GuestMemory memory(Memory message) {
    List<Region> ordered = new ArrayList<>(message.getRegionsList());
    ordered.sort(Comparator.comparingLong(Region::getGuestPhysicalAddress));
    List<GuestRegion> regions = new ArrayList<>();
    long offset = 0;
    for (Region region : ordered) {
      requireAligned(region);
      regions.add(
          new GuestRegion(region.getGuestPhysicalAddress(), region.getLengthBytes(), offset));
      offset = Math.addExact(offset, region.getLengthBytes());
    }
    return new GuestMemory(
        new GuestLayout(message.getGuest(), regions),
        ordered.stream().mapToLong(Region::getHostAddress).toArray());
  }

  private static void requireAligned(Region region) {
    if (region.getHostAddress() <= 0 || !Pages.isAligned(region.getHostAddress())) {
      throw new IllegalArgumentException(
          "guest-physical address 0x%x at host-virtual address 0x%x; a positive multiple of 4096 is allowed"
              .formatted(region.getGuestPhysicalAddress(), region.getHostAddress()));
    }
  }

  private static PageSet givenBack(Memory message, GuestLayout layout) {
    PageSet pages = new PageSet();
    for (Range range : message.getGivenBackList()) {
      long count = range.getLengthBytes() >>> Pages.SHIFT;
      OptionalLong first = layout.runAt(range.getGuestPhysicalAddress(), count);
      if (first.isEmpty() || !Pages.isAligned(range.getLengthBytes())) {
        throw new IllegalArgumentException(
            "%d bytes given back at guest-physical address 0x%x; whole pages of one region are allowed"
                .formatted(range.getLengthBytes(), range.getGuestPhysicalAddress()));
      }
      pages.add(new PageRun(first.getAsLong(), count));
    }
    return pages;
  }

  /** Its shape; file offsets in it mean nothing. */
  public GuestLayout layout() {
    return memory.layout();
  }
}
