package ward.memory;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.OptionalLong;

/**
 * Which guest-physical addresses are RAM, and the order in which their pages are counted.
 *
 * <p>Page indexes run from 0 to {@link #pageCount()} - 1 through the regions in order of address,
 * without the holes between them. A guest of 16 TiB has 2^32 pages, so they are longs.
 */
public final class GuestLayout {

  /** No page. */
  public static final long NONE = -1;

  private final String guest;
  private final List<GuestRegion> regions;
  private final long[] firstPages;
  private final long pageCount;

  /**
   * @param guest the guest's identity: ledgers and peers of another guest are refused. Not blank,
   *     at most 128 characters
   * @param regions in any order
   * @throws IllegalArgumentException naming the two regions that overlap, in guest-physical
   *     addresses or in the memory file, or what else is not allowed
   */
  public GuestLayout(String guest, List<GuestRegion> regions) {
    if (guest.isBlank() || guest.length() > 128) {
      throw new IllegalArgumentException(
          "guest \"%s\"; a name of 1 to 128 characters is needed".formatted(guest));
    }
    if (regions.isEmpty()) {
      throw new IllegalArgumentException("no regions; a guest has at least one");
    }
    this.guest = guest;
    this.regions = sorted(regions);
    this.firstPages = new long[regions.size()];
    this.pageCount = countPages();
    requireDisjointFileRanges();
  }

  private static List<GuestRegion> sorted(List<GuestRegion> regions) {
    List<GuestRegion> ordered = new ArrayList<>(regions);
    ordered.sort(Comparator.comparingLong(GuestRegion::guestPhysicalAddress));
    for (int i = 1; i < ordered.size(); i++) {
      GuestRegion below = ordered.get(i - 1);
      GuestRegion above = ordered.get(i);
      if (above.guestPhysicalAddress() < below.endAddress()) {
        throw new IllegalArgumentException(
            "regions overlap: 0x%x..0x%x and 0x%x..0x%x"
                .formatted(
                    below.guestPhysicalAddress(),
                    below.endAddress(),
                    above.guestPhysicalAddress(),
                    above.endAddress()));
      }
    }
    return List.copyOf(ordered);
  }

  private long countPages() {
    long count = 0;
    for (int i = 0; i < firstPages.length; i++) {
      firstPages[i] = count;
      count += regions.get(i).pageCount();
    }
    return count;
  }

  private void requireDisjointFileRanges() {
    List<GuestRegion> ordered = new ArrayList<>(regions);
    ordered.sort(Comparator.comparingLong(GuestRegion::fileOffset));
    for (int i = 1; i < ordered.size(); i++) {
      GuestRegion before = ordered.get(i - 1);
      GuestRegion after = ordered.get(i);
      if (after.fileOffset() < before.fileOffset() + before.lengthBytes()) {
        throw new IllegalArgumentException(
            "regions at 0x%x and 0x%x share bytes of the memory file from offset 0x%x"
                .formatted(
                    before.guestPhysicalAddress(),
                    after.guestPhysicalAddress(),
                    after.fileOffset()));
      }
    }
  }

  /** The guest's identity. */
  public String guest() {
    return guest;
  }

  /** In order of guest-physical address. */
  public List<GuestRegion> regions() {
    return regions;
  }

  /** Pages in all regions. */
  public long pageCount() {
    return pageCount;
  }

  /** Bytes the memory file must have at least. */
  public long fileBytes() {
    return regions.stream().mapToLong(r -> r.fileOffset() + r.lengthBytes()).max().orElseThrow();
  }

  /** The index in {@link #regions()} of the region that holds a page. */
  public int regionOf(long page) {
    if (page < 0 || page >= pageCount) {
      throw new IllegalArgumentException("page %d of %d".formatted(page, pageCount));
    }
    int low = 0;
    int high = firstPages.length - 1;
    while (low < high) {
      int middle = (low + high + 1) >>> 1;
      if (firstPages[middle] <= page) {
        low = middle;
      } else {
        high = middle - 1;
      }
    }
    return low;
  }

  /** The page index of a region's first page. */
  public long firstPageOf(int region) {
    return firstPages[region];
  }

  /** The guest-physical address of a page's first byte. */
  public long addressOf(long page) {
    int region = regionOf(page);
    return regions.get(region).guestPhysicalAddress() + Pages.bytes(page - firstPages[region]);
  }

  /** The page that holds the byte at a guest-physical address; empty if that is not RAM. */
  public OptionalLong pageAt(long address) {
    long page = pageOrNone(address);
    return page == NONE ? OptionalLong.empty() : OptionalLong.of(page);
  }

  private long pageOrNone(long address) {
    for (int i = 0; i < firstPages.length; i++) {
      GuestRegion region = regions.get(i);
      if (region.contains(address)) {
        long offset = address - region.guestPhysicalAddress();
        return firstPages[i] + (offset >>> Pages.SHIFT);
      }
    }
    return NONE;
  }

  /**
   * The pages of a range of guest-physical addresses; empty if the range is not RAM throughout, is
   * unaligned, or crosses from one region into another.
   *
   * @param address a multiple of 4 KiB
   * @param count of pages, at least 1
   */
  public OptionalLong runAt(long address, long count) {
    long first = runOrNone(address, count);
    return first == NONE ? OptionalLong.empty() : OptionalLong.of(first);
  }

  /** The same without an object, for the way of an answer; {@link #NONE} where that is empty. */
  public long runOrNone(long address, long count) {
    if (!Pages.isAligned(address) || count < 1 || count > pageCount) {
      return NONE;
    }
    long first = pageOrNone(address);
    return first != NONE && pagesLeftInRegion(first) >= count ? first : NONE;
  }

  /** The guest frames (guest-physical address {@code >>> 12}) of all regions. */
  public PageSet frames() {
    PageSet frames = new PageSet();
    for (GuestRegion region : regions) {
      frames.add(new PageRun(region.guestPhysicalAddress() >>> Pages.SHIFT, region.pageCount()));
    }
    return frames;
  }

  /**
   * The pages of guest frames next to each other (guest-physical address {@code >>> 12}), region by
   * region; empty if one of them is not RAM.
   */
  public List<PageRun> pagesOf(PageRun frames) {
    List<PageRun> pages = new ArrayList<>(1);
    long frame = frames.firstPage();
    while (frame < frames.endPage()) {
      long first = pageOrNone(frame << Pages.SHIFT);
      if (first == NONE) {
        return List.of();
      }
      long count = Math.min(frames.endPage() - frame, pagesLeftInRegion(first));
      pages.add(new PageRun(first, count));
      frame += count;
    }
    return pages;
  }

  /** Pages from this one to the end of its region: the longest run that has no hole in it. */
  public long pagesLeftInRegion(long page) {
    int region = regionOf(page);
    return firstPages[region] + regions.get(region).pageCount() - page;
  }

  @Override
  public boolean equals(Object other) {
    return other instanceof GuestLayout that
        && guest.equals(that.guest)
        && regions.equals(that.regions);
  }

  @Override
  public int hashCode() {
    return 31 * guest.hashCode() + regions.hashCode();
  }

  @Override
  public String toString() {
    return "layout of guest " + guest + ": " + regions;
  }
}
