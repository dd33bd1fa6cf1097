package ward.destination;

import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
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
   * The kernel drops the pages of MADV_DONTNEED only after its event was read ({@code
   * userfaultfd_remove} in mm/madvise.c waits for the reader, then lets go of the lock), so a
   * marker that is put back in between goes with them. The next round puts it back for good. One
   * that goes after the audit is put back when its page is touched: as long as the guest lives
   * somebody reads its faults, also while the source is out of reach.
   */
  private static final int ROUNDS_MAX = 3;

  /**
   * What this host loses of its own memory raises SIGBUS at once, and is in the ledger when the
   * vCPU that was told of it has written it there. As long as that may take, it is no mismatch.
   */
  private static final Duration WRITING_MAX = Duration.ofSeconds(30);

  private final GuestMemory memory;
  private final PageTable table;
  private final PageResolver resolver;
  private final GivenBack givenBack;
  private final GivenUp givenUp;
  private final MarkerScan scan;
  private final Duration writingMax;

  /** Pages that this host seems to have lost, and when they were first seen so. */
  private final Map<Long, Long> unwritten = new HashMap<>();

  Audit(
      GuestMemory memory,
      PageTable table,
      PageResolver resolver,
      GivenBack givenBack,
      GivenUp givenUp,
      MarkerScan scan) {
    this(memory, table, resolver, givenBack, givenUp, scan, WRITING_MAX);
  }

  /**
   * @param writingMax how long a loss of this host may be on its way into the ledger
   */
  Audit(
      GuestMemory memory,
      PageTable table,
      PageResolver resolver,
      GivenBack givenBack,
      GivenUp givenUp,
      MarkerScan scan,
      Duration writingMax) {
    this.memory = memory;
    this.table = table;
    this.resolver = resolver;
    this.givenBack = givenBack;
    this.givenUp = givenUp;
    this.scan = scan;
    this.writingMax = writingMax;
  }

  /**
   * @param markers pages that really raise SIGBUS because the source lost them
   * @param mismatches the first few pages where belief and reality differ, each a line for people
   * @param mismatchCount all of them
   * @param unsettled lost pages that the guest is giving back just now (whoever touches one waits
   *     until it has its marker again, or is given up, but neither is so yet), and pages that this
   *     host has lost and the ledger does not know yet
   * @param givenUp page indexes that the guest had given up; they have no marker
   */
  record Finding(
      long markers, List<String> mismatches, long mismatchCount, long unsettled, PageSet givenUp) {
    boolean agrees() {
      return mismatchCount == 0 && unsettled == 0;
    }
  }

  /**
   * Places again the markers that left with pages the guest gave back, or gives those pages up,
   * then compares. On a thread that may wait for the disk.
   */
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
    settle(emptyPages());
    PageSet empty = emptyPages();
    empty.removeAll(lostAmong(empty)); // just now: the next touch finds its marker
    List<Long> pages = new ArrayList<>();
    empty.forEach(pages::add);
    for (long page : pages) {
      resolver.freshZero(page);
    }
  }

  private PageSet emptyPages() throws IOException {
    PageSet empty = new PageSet();
    visitAll(
        (page, real) -> {
          if (real == MarkerScan.Real.EMPTY) {
            empty.add(page);
          }
        });
    return empty;
  }

  private Finding compare() throws IOException {
    if (!givenBack.copy().isEmpty()) {
      settle(emptyPages());
    }
    PageSet before = givenUp.copy();
    Tally tally = new Tally(before);
    visitAll(tally);
    long changed = before.equals(givenUp.copy()) ? 0 : 1;
    return new Finding(
        tally.markers, tally.lines, tally.mismatches, tally.unsettled + changed, before);
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

  /** Lost pages that were given back have their markers again, or are given up. */
  private void settle(PageSet empty) throws ResolveException {
    PageSet given = givenBack.copy();
    given.retainAll(empty);
    PageSet lost = lostAmong(given);
    if (lost.isEmpty() || givenUp.isAllowed() && givenUp.record(lost)) {
      return;
    }
    List<PageRun> runs = new ArrayList<>();
    lost.forEachRun(runs::add);
    for (PageRun run : runs) {
      resolver.markers(run);
    }
  }

  private PageSet lostAmong(PageSet pages) {
    PageSet lost = new PageSet();
    pages.forEach(
        page -> {
          if (isLost(page)) {
            lost.add(page);
          }
        });
    return lost;
  }

  /** By the source, or by this host since the page came. */
  private boolean isLost(long page) {
    return switch (table.get(page)) {
      case POISONED -> !givenUp.contains(page);
      case PRESENT -> givenUp.isLost(page);
      case MISSING, REQUESTED -> false;
    };
  }

  private final class Tally implements MarkerScan.Visitor {
    private final PageSet freed;
    private long markers;
    private long mismatches;
    private long unsettled;
    private final List<String> lines = new ArrayList<>();

    /**
     * @param freed lost pages that the guest has given up
     */
    Tally(PageSet freed) {
      this.freed = freed;
    }

    @Override
    public void visit(long page, MarkerScan.Real real) {
      PageTable.State state = table.get(page);
      boolean lost = state == PageTable.State.POISONED && !freed.contains(page);
      if (lost && real == MarkerScan.Real.POISONED) {
        markers++;
      } else if (real == MarkerScan.Real.EMPTY && givenBack.contains(page) && isLost(page)) {
        unsettled++;
      } else if (agree(page, state, real)) {
        unwritten.remove(page);
      } else if (state == PageTable.State.PRESENT
          && real == MarkerScan.Real.POISONED
          && mayStillBeWritten(page)) {
        unsettled++;
      } else {
        mismatches++;
        describe(page, state, real);
      }
    }

    private boolean mayStillBeWritten(long page) {
      long now = System.nanoTime();
      return now - unwritten.computeIfAbsent(page, seen -> now) < writingMax.toNanos();
    }

    /** A page that was given up may still have its marker: the kernel takes it away in a moment. */
    private boolean agree(long page, PageTable.State state, MarkerScan.Real real) {
      boolean fresh = state == PageTable.State.POISONED && freed.contains(page);
      boolean present = state == PageTable.State.PRESENT || fresh;
      return switch (real) {
        case POISONED -> fresh || present && givenUp.isLost(page);
        case MAPPED -> present;
        case EMPTY -> present && givenBack.contains(page);
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
