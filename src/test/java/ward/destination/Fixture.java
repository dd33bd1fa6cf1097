package ward.destination;

import java.time.Instant;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import ward.guest.GuestMemory;
import ward.memory.GuestLayout;
import ward.memory.GuestRegion;
import ward.memory.PageRun;
import ward.memory.PageSet;
import ward.memory.Pages;
import ward.poison.FickleLedger;
import ward.poison.LedgerException;
import ward.poison.Origin;
import ward.poison.PoisonEntry;
import ward.poison.Severity;
import ward.uffd.PageFiller;
import ward.wire.PageRequest;

/** The parts of an arrival over a kernel of one's choice, wired as {@link Arrival} does it. */
final class Fixture implements DestinationListener {

  /** Where the first page is in the guest: page indexes and frames differ by 256. */
  static final long GPA = 0x10_0000;

  static final Origin ORIGIN =
      new Origin("host-a", Instant.parse("2026-01-31T10:02:11Z"), Origin.Discovery.DECLARED);

  final GuestMemory memory;
  final PageTable table;
  final GivenBack givenBack = new GivenBack();
  final GivenUp givenUp;
  final PageResolver resolver;
  final PageFaults faults;

  /** The urgent connection's attempt; 0 while there is none. */
  volatile int attempt = 1;

  final List<PageRequest> requests = Collections.synchronizedList(new ArrayList<>());
  final List<Throwable> failures = Collections.synchronizedList(new ArrayList<>());
  final List<String> heard = Collections.synchronizedList(new ArrayList<>());
  final AtomicInteger allResolved = new AtomicInteger();
  final AtomicInteger faultsRead = new AtomicInteger();

  Fixture(PageFiller filler, long pageCount) {
    this(filler, layout(pageCount), new long[] {FakeFiller.BASE});
  }

  Fixture(PageFiller filler, GuestLayout layout, long[] hostAddresses) {
    this(
        filler,
        layout,
        hostAddresses,
        new GivenUp(OnRemove.KEEP, layout, new SmallLedger(), Runnable::run));
  }

  Fixture(PageFiller filler, GuestLayout layout, long[] hostAddresses, GivenUp givenUp) {
    this(filler, new GuestMemory(layout, hostAddresses), givenUp);
  }

  Fixture(PageFiller filler, GuestMemory memory, GivenUp givenUp) {
    this.givenUp = givenUp;
    this.memory = memory;
    GuestLayout layout = memory.layout();
    table = new PageTable(layout.pageCount());
    resolver =
        new PageResolver(memory, table, filler, givenBack, this, allResolved::incrementAndGet);
    faults =
        new PageFaults(
            layout, table, resolver, givenBack, givenUp, this, () -> line(attempt, requests));
  }

  /** In memory only. */
  static final class SmallLedger implements GivenUp.Ledger {
    final PageSet lost = new PageSet();
    final PageSet givenUp = new PageSet();
    volatile boolean full;

    @Override
    public synchronized boolean isLost(long guestPhysicalAddress) {
      return lost.contains(guestPhysicalAddress >>> Pages.SHIFT);
    }

    synchronized void lose(long page) {
      lost.add(frame(page));
    }

    synchronized boolean isGivenUp(long page) {
      return givenUp.contains(frame(page));
    }

    @Override
    public synchronized void giveUp(PageSet frames) throws LedgerException {
      if (full) {
        FickleLedger.refuse();
      }
      lost.removeAll(frames);
      givenUp.addAll(frames);
    }
  }

  /** A connection that notes what it is given. */
  static RequestLine.Line line(int attempt, List<PageRequest> requests) {
    return new RequestLine.Line() {
      @Override
      public int attempt() {
        return attempt;
      }

      @Override
      public void write(long request, long guestPhysicalAddress, int pageCount) {
        if (attempt > 0) {
          requests.add(new PageRequest(request, guestPhysicalAddress, pageCount));
        }
      }

      @Override
      public void flush() {}
    };
  }

  static GuestLayout layout(long pageCount) {
    return new GuestLayout("vm-1", List.of(new GuestRegion(GPA, Pages.bytes(pageCount), 0)));
  }

  static long gpa(long page) {
    return GPA + Pages.bytes(page);
  }

  static long frame(long page) {
    return gpa(page) >>> Pages.SHIFT;
  }

  static PoisonEntry lost(long page) {
    return lost(page, 12);
  }

  static PoisonEntry lost(long page, int shift) {
    return new PoisonEntry(gpa(page), shift, Severity.ACTION_REQUIRED, ORIGIN);
  }

  /** What a REMOVE event does. */
  void giveBack(PageRun run) {
    givenBack.notingEvents().lock();
    try {
      givenBack.add(run);
      resolver.giveBackUnresolved(run);
    } finally {
      givenBack.notingEvents().unlock();
    }
  }

  void fault(long page) {
    faults.onFault(page, failures::add);
  }

  @Override
  public void faultsRead(int count) {
    faultsRead.addAndGet(count);
  }

  @Override
  public void alreadyResolved(long guestPhysicalAddress) {
    heard.add("already 0x%x".formatted(guestPhysicalAddress));
  }

  @Override
  public void duplicate(long pages) {
    heard.add("duplicate " + pages);
  }

  @Override
  public void streamed(long pages) {
    heard.add("streamed " + pages);
  }

  @Override
  public void sourceFailed(long guestPhysicalAddress, String reason) {
    heard.add("failed 0x%x %s".formatted(guestPhysicalAddress, reason));
  }

  @Override
  public void damaged(long guestPhysicalAddress, long pagesAskedAgain, String disagreement) {
    heard.add(
        "damaged 0x%x, %d again: %s"
            .formatted(guestPhysicalAddress, pagesAskedAgain, disagreement));
  }
}
