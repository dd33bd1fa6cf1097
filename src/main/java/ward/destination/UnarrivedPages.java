package ward.destination;

import java.util.ArrayList;
import java.util.List;
import ward.memory.GuestLayout;
import ward.memory.Pages;
import ward.poison.Origin;
import ward.poison.PoisonEntry;
import ward.poison.Severity;

/**
 * The pages that have neither content nor a marker, as the fewest extents that a ledger can name.
 */
final class UnarrivedPages {

  /**
   * @param pageShift log2 of its length in bytes; it begins at a multiple of that
   */
  private record Extent(long guestPhysicalAddress, int pageShift) {}

  private final List<Extent> extents = new ArrayList<>();

  private UnarrivedPages() {}

  static UnarrivedPages of(GuestLayout layout, PageTable table) {
    UnarrivedPages unarrived = new UnarrivedPages();
    long page = 0;
    while (page < table.pageCount()) {
      long regionEnd = page + layout.pagesLeftInRegion(page);
      page = table.nextUnclaimed(page, regionEnd);
      while (page < regionEnd) {
        long end = table.nextClaimed(page, regionEnd);
        unarrived.add(layout.addressOf(page), end - page);
        page = table.nextUnclaimed(end, regionEnd);
      }
    }
    return unarrived;
  }

  /** From each address the largest extent that is aligned there and fits. */
  private void add(long firstAddress, long pageCount) {
    long address = firstAddress;
    long end = firstAddress + Pages.bytes(pageCount);
    while (address < end) {
      int aligned = address == 0 ? PoisonEntry.MAX_PAGE_SHIFT : Long.numberOfTrailingZeros(address);
      int fits = Long.SIZE - 1 - Long.numberOfLeadingZeros(end - address);
      int shift = Math.min(PoisonEntry.MAX_PAGE_SHIFT, Math.min(aligned, fits));
      extents.add(new Extent(address, shift));
      address += 1L << shift;
    }
  }

  /** Required to act: nobody can say any more what was there. */
  List<PoisonEntry> entries(Origin origin) {
    return extents.stream()
        .map(
            extent ->
                new PoisonEntry(
                    extent.guestPhysicalAddress(),
                    extent.pageShift(),
                    Severity.ACTION_REQUIRED,
                    origin))
        .toList();
  }
}
