package ward.destination;

import java.io.IOException;
import java.util.function.BooleanSupplier;
import ward.guest.GuestMemory;
import ward.memory.GuestLayout;
import ward.memory.Pages;
import ward.uffd.FillResult;
import ward.uffd.MarkerScan;
import ward.uffd.Watcher;

/**
 * Makes huge pages of memory that arrived in small ones, when all of it is here.
 *
 * <p>Only where all 512 pages have their content, by the table and by the kernel's own page table.
 * The kernel would refuse in some of the other cases, but not in all: of shared memory it takes the
 * page table away, with the markers in it (seen on Linux 6.18).
 */
final class Collapse {

  private static final int PAGES = 512;
  private static final long HUGE_BYTES = Pages.bytes(PAGES);

  private final GuestMemory memory;
  private final PageTable table;
  private final GivenBack givenBack;
  private final MarkerScan scan;
  private final Watcher watcher;
  private long hugePages;
  private long leftOut;
  private long refused;
  private String refusal = "";

  Collapse(
      GuestMemory memory, PageTable table, GivenBack givenBack, MarkerScan scan, Watcher watcher) {
    this.memory = memory;
    this.table = table;
    this.givenBack = givenBack;
    this.scan = scan;
    this.watcher = watcher;
  }

  /**
   * Goes through the memory once.
   *
   * @param goOn asked before every range of 2 MiB
   */
  CollapseReport run(BooleanSupplier goOn) throws IOException {
    long start = System.nanoTime();
    GuestLayout layout = memory.layout();
    for (int region = 0; region < layout.regions().size(); region++) {
      long first = layout.firstPageOf(region);
      long end = first + layout.regions().get(region).pageCount();
      long page = first + pagesToBoundary(memory.hostAddressOfRegion(region));
      for (; page + PAGES <= end && goOn.getAsBoolean(); page += PAGES) {
        collapse(page);
      }
    }
    return new CollapseReport(hugePages, leftOut, refused, refusal, System.nanoTime() - start);
  }

  /** To the next host-virtual address that a huge page can have. */
  private static long pagesToBoundary(long hostAddress) {
    return (-hostAddress & (HUGE_BYTES - 1)) >>> Pages.SHIFT;
  }

  private void collapse(long first) throws IOException {
    if (!isWhole(first)) {
      leftOut++;
      return;
    }
    FillResult result = watcher.collapse(memory.hostAddressOf(first), HUGE_BYTES);
    if (result.outcome() == FillResult.Outcome.COMPLETED) {
      hugePages++;
    } else {
      refused++;
      refusal = result.explanation();
    }
  }

  /** What has its content keeps it: a page that is here is never lost any more but to its guest. */
  private boolean isWhole(long first) throws IOException {
    for (long page = first; page < first + PAGES; page++) {
      if (table.get(page) != PageTable.State.PRESENT || givenBack.contains(page)) {
        return false;
      }
    }
    boolean[] whole = {true};
    scan.scan(
        memory.hostAddressOf(first),
        first,
        PAGES,
        (page, real) -> whole[0] &= real == MarkerScan.Real.MAPPED);
    return whole[0];
  }
}
