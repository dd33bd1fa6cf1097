package ward.destination;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import ward.guest.GuestMemory;
import ward.memory.GuestLayout;
import ward.memory.PageRun;
import ward.memory.PageSet;
import ward.memory.Pages;
import ward.poison.PoisonLedger;
import ward.uffd.MarkerScan;

/**
 * Finds out what a daemon that died had got done with a guest's memory, from the three things that
 * outlive it: the memory itself, the ledger, and what the memory's owner remembers.
 *
 * <pre>
 * memory     ledger   given back    becomes
 * a page     healthy  either        PRESENT
 * a page     lost     either        refused: nothing that is lost was ever placed, or held
 * a marker   lost     either        POISONED
 * a marker   healthy  either        refused: an entry is on disk before its marker is placed
 * nothing    lost     either        POISONED, and the marker is placed (again)
 * nothing    healthy  yes           PRESENT: the next touch reads zeros
 * nothing    healthy  no            MISSING
 * </pre>
 *
 * <p>A page that the source lost after it was copied is in no ledger here, so it is a healthy one.
 *
 * <p>The guest may run meanwhile. It can change nothing that matters: whoever gives pages back
 * waits in the kernel until somebody reads the event, which nobody does yet, or had its event read
 * by the daemon that died, and then the owner remembers.
 */
final class InheritedPages implements MarkerScan.Visitor {

  private static final int REPORTED_MAX = 5;

  private final GuestLayout layout;
  private final PoisonLedger ledger;
  private final PageSet givenBack;
  private final boolean mayHaveArrived;
  private final PageSet present = new PageSet();
  private final PageSet empty = new PageSet();
  private final PageSet marked = new PageSet();
  private final PageSet unmarked = new PageSet();
  private final List<String> contradictions = new ArrayList<>();
  private long contradictionCount;

  /**
   * @param givenBack page indexes
   * @param mayHaveArrived false if the guest's content was still to come
   */
  InheritedPages(
      GuestLayout layout, PoisonLedger ledger, PageSet givenBack, boolean mayHaveArrived) {
    this.layout = layout;
    this.ledger = ledger;
    this.givenBack = givenBack;
    this.mayHaveArrived = mayHaveArrived;
  }

  /**
   * Looks at every page.
   *
   * @throws InheritanceException if memory, ledger and owner contradict each other; nothing was
   *     changed
   */
  static InheritedPages of(
      GuestMemory memory,
      MarkerScan scan,
      PoisonLedger ledger,
      PageSet givenBack,
      boolean mayHaveArrived)
      throws IOException {
    GuestLayout layout = memory.layout();
    InheritedPages pages = new InheritedPages(layout, ledger, givenBack, mayHaveArrived);
    for (int region = 0; region < layout.regions().size(); region++) {
      scan.scan(
          memory.hostAddressOfRegion(region),
          layout.firstPageOf(region),
          layout.regions().get(region).pageCount(),
          pages);
    }
    pages.requireNoContradiction();
    return pages;
  }

  @Override
  public void visit(long page, MarkerScan.Real real) {
    boolean lost = ledger.contains(layout.addressOf(page));
    switch (real) {
      case MAPPED -> mapped(page, lost);
      case POISONED -> marked(page, lost);
      case EMPTY -> empty(page, lost);
    }
  }

  private void mapped(long page, boolean lost) {
    if (lost) {
      contradiction(page, "is lost by the ledger, but its memory holds a page");
    } else if (!mayHaveArrived) {
      contradiction(page, "holds a page, though nothing has been sent yet");
    } else {
      present.add(page);
    }
  }

  private void marked(long page, boolean lost) {
    if (lost) {
      marked.add(page);
    } else {
      contradiction(page, "has a poison marker, but the ledger does not know that it is lost");
    }
  }

  private void empty(long page, boolean lost) {
    if (lost && mayHaveArrived) {
      unmarked.add(page);
    } else if (givenBack.contains(page)) {
      empty.add(page);
    }
  }

  private void contradiction(long page, String what) {
    contradictionCount++;
    if (contradictions.size() < REPORTED_MAX) {
      contradictions.add("guest-physical address 0x%x %s".formatted(layout.addressOf(page), what));
    }
  }

  void requireNoContradiction() throws InheritanceException {
    if (contradictionCount > 0) {
      throw new InheritanceException(
          "%d pages of the memory owner's guest %s contradict the ledger here, among them: %s. Ward does not guess which is right; use the ledger that belongs to this memory, or begin anew with fresh memory"
              .formatted(contradictionCount, layout.guest(), String.join("; ", contradictions)));
    }
    if (!mayHaveArrived && !givenBack.isEmpty()) {
      throw new InheritanceException(
          "the memory owner's guest %s has not run, but %s are said to be given back; begin anew with fresh memory"
              .formatted(layout.guest(), givenBack));
    }
  }

  /**
   * Takes everything over. Before any event is read: what the events say comes on top.
   *
   * @throws ResolveException if a marker cannot be placed
   */
  void moveInto(PageTable table, PageResolver resolver, GivenBack known) throws ResolveException {
    known.notingEvents().lock();
    try {
      runs(givenBack).forEach(known::add);
    } finally {
      known.notingEvents().unlock();
    }
    marked.forEach(table::poison);
    unmarked.forEach(table::poison);
    present.forEach(table::claim);
    empty.forEach(table::claim);
    resolver.inherit(present.size(), empty.size());
    runs(marked).forEach(resolver::inheritMarked);
    for (PageRun run : runs(unmarked)) {
      resolver.poison(run);
    }
  }

  /** Guest frame numbers of all that is lost. */
  PageSet poisonedFrames() {
    PageSet frames = new PageSet();
    marked.forEach(page -> frames.add(layout.addressOf(page) >>> Pages.SHIFT));
    unmarked.forEach(page -> frames.add(layout.addressOf(page) >>> Pages.SHIFT));
    return frames;
  }

  private static List<PageRun> runs(PageSet pages) {
    List<PageRun> runs = new ArrayList<>();
    pages.forEachRun(runs::add);
    return runs;
  }

  /** For the log. */
  @Override
  public String toString() {
    return "%d pages are here, %d were given back, %d are marked as lost, %d more were lost and are marked now"
        .formatted(present.size(), empty.size(), marked.size(), unmarked.size());
  }
}
