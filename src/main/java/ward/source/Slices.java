package ward.source;

import ward.memory.GuestLayout;
import ward.memory.GuestRegion;
import ward.memory.PageRun;
import ward.memory.Pages;

/**
 * The guest's pages in pieces that lie within one region and within one huge page of the guest's
 * addresses, numbered in their order.
 */
final class Slices {

  /**
   * 2 MiB, a huge page: one that is sent as a whole is moved into the guest at the destination, as
   * a whole, where anything less is copied.
   */
  static final int PAGES_MAX = 512;

  private static final int HUGE_SHIFT = Pages.SHIFT + Integer.numberOfTrailingZeros(PAGES_MAX);

  private final GuestLayout layout;
  private final long[] firstOf; // by region, and behind the last one

  Slices(GuestLayout layout) {
    this.layout = layout;
    this.firstOf = new long[layout.regions().size() + 1];
    for (int i = 0; i < layout.regions().size(); i++) {
      GuestRegion region = layout.regions().get(i);
      long last = region.endAddress() - 1 >>> HUGE_SHIFT;
      firstOf[i + 1] = firstOf[i] + last - hugeOf(region.guestPhysicalAddress()) + 1;
    }
  }

  private static long hugeOf(long guestPhysicalAddress) {
    return guestPhysicalAddress >>> HUGE_SHIFT;
  }

  long count() {
    return firstOf[firstOf.length - 1];
  }

  /** The slice that holds a page. */
  long of(long page) {
    int region = layout.regionOf(page);
    long begin = layout.regions().get(region).guestPhysicalAddress();
    return firstOf[region] + hugeOf(layout.addressOf(page)) - hugeOf(begin);
  }

  PageRun run(long slice) {
    int index = regionOf(slice);
    GuestRegion region = layout.regions().get(index);
    long huge = hugeOf(region.guestPhysicalAddress()) + slice - firstOf[index];
    long begin = Math.max(region.guestPhysicalAddress(), huge << HUGE_SHIFT);
    long end = Math.min(region.endAddress(), huge + 1 << HUGE_SHIFT);
    long firstPage =
        layout.firstPageOf(index) + (begin - region.guestPhysicalAddress() >>> Pages.SHIFT);
    return new PageRun(firstPage, end - begin >>> Pages.SHIFT);
  }

  private int regionOf(long slice) {
    int region = 0;
    while (firstOf[region + 1] <= slice) {
      region++;
    }
    return region;
  }
}
