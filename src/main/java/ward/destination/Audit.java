package ward.destination;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import ward.guest.GuestMemory;
import ward.memory.GuestLayout;
import ward.memory.PageRun;
import ward.memory.PageSet;
import ward.uffd.MarkerScan;

/**
 * Compares the page table with the real page tables of the process, page by page, when no page is
 * missing any more: what Ward believes against what the guest would meet.
 */
final class Audit {

  private static final int REPORTED_MISMATCHES = 5;

  /**
   * The kernel drops the pages of MADV_DONTNEED only after its event was read, so a marker that is
   * put back in between goes with them. The next round puts it back for good.
   */
  private static final int ROUNDS_MAX = 3;

  private final GuestMemory memory;
  private final PageTable table;
  private final PageResolver resolver;
  private final GivenBack givenBack;
  private final MarkerScan scan;

  Audit(
      GuestMemory memory,
      PageTable table,
      PageResolver resolver,
      GivenBack givenBack,
      MarkerScan scan) {
    this.memory = memory;
    this.table = table;
    this.resolver = resolver;
    this.givenBack = givenBack;
    this.scan = scan;
  }

  /**
   * @param markers pages that really raise SIGBUS
   * @param mismatches the first few pages where belief and reality differ, each a line for people
   * @param mismatchCount all of them
   */
  record Finding(long markers, List<String> mismatches, long mismatchCount) {
    boolean agrees() {
      return mismatchCount == 0;
    }
  }

  /** Places again the markers that left with pages the guest gave back, then compares. */
  Finding run() throws IOException {
    Finding finding = compare();
    for (int round = 1; round < ROUNDS_MAX && !finding.agrees(); round++) {
      finding = compare();
    }
    return finding;
  }

  /**
   * What a paused guest gave back holds zeros or its marker from now on, as the guest's own next
   * touch would have found it.
   */
  void fillEmptyPages() throws IOException {
    restoreMarkers();
    PageSet empty = new PageSet();
    visitAll((page, real) -> addIfEmpty(empty, page, real));
    List<Long> pages = new ArrayList<>();
    empty.forEach(pages::add);
    for (long page : pages) {
      resolver.freshZero(page);
    }
  }

  private static void addIfEmpty(PageSet empty, long page, MarkerScan.Real real) {
    if (real == MarkerScan.Real.EMPTY) {
      empty.add(page);
    }
  }

  private Finding compare() throws IOException {
    restoreMarkers();
    Tally tally = new Tally();
    visitAll(tally);
    return new Finding(tally.markers, tally.lines, tally.mismatches);
  }

  private void visitAll(MarkerScan.Visitor visitor) throws IOException {
    GuestLayout layout = memory.layout();
    for (int region = 0; region < layout.regions().size(); region++) {
      scan.scan(
          memory.hostAddressOfRegion(region),
          layout.firstPageOf(region),
          layout.regions().get(region).pageCount(),
          visitor);
    }
  }

  private void restoreMarkers() throws ResolveException {
    PageSet lost = givenBack.copy();
    List<PageRun> runs = new ArrayList<>();
    PageSet poisoned = new PageSet();
    lost.forEach(
        page -> {
          if (table.get(page) == PageTable.State.POISONED) {
            poisoned.add(page);
          }
        });
    poisoned.forEachRun(runs::add);
    for (PageRun run : runs) {
      resolver.markers(run);
    }
  }

  private final class Tally implements MarkerScan.Visitor {
    private long markers;
    private long mismatches;
    private final List<String> lines = new ArrayList<>();

    @Override
    public void visit(long page, MarkerScan.Real real) {
      if (real == MarkerScan.Real.POISONED) {
        markers++;
      }
      PageTable.State state = table.get(page);
      if (!agree(page, state, real)) {
        mismatches++;
        describe(page, state, real);
      }
    }

    private boolean agree(long page, PageTable.State state, MarkerScan.Real real) {
      return switch (real) {
        case POISONED -> state == PageTable.State.POISONED;
        case MAPPED -> state == PageTable.State.PRESENT;
        case EMPTY -> state == PageTable.State.PRESENT && givenBack.contains(page);
      };
    }

    private void describe(long page, PageTable.State state, MarkerScan.Real real) {
      if (lines.size() < REPORTED_MISMATCHES) {
        lines.add(
            "guest-physical address 0x%x: page table says %s, memory is %s"
                .formatted(memory.layout().addressOf(page), state, real));
      }
    }
  }
}
