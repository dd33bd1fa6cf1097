package ward.destination;

import java.io.IOException;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.function.BooleanSupplier;
import java.util.function.Consumer;
import java.util.function.LongConsumer;
import ward.guest.Guest;
import ward.guest.GuestMemory;
import ward.memory.GuestLayout;
import ward.memory.GuestRegion;
import ward.memory.PageSet;
import ward.memory.Pages;
import ward.poison.LedgerException;
import ward.poison.LedgerJournal;
import ward.poison.LedgerQueue;
import ward.poison.PoisonEntry;
import ward.poison.PoisonMap;
import ward.uffd.MarkerScan;
import ward.uffd.Userfaultfd;
import ward.uffd.Watcher;
import ward.wire.ProtocolException;

/** Everything that belongs to one guest on its way in, from the moment its shape is known. */
final class Arrival {

  private static final long END_SECONDS = 30;

  private final Guest guest;
  private final LedgerJournal journal;
  private final PageTable table;
  private final PageResolver resolver;
  private final PageFaults faults;
  private final FaultLoop faultLoop;
  private final PoisonRecorder recorder;
  private final Audit audit;
  private final GivenUp givenUp;
  private final ExecutorService balloon = newBalloonThread();
  private final PageSet poisonedFrames = new PageSet();
  private final Runnable flushRequests;
  private final Watcher watcher;
  private final MarkerScan scan;
  private final GivenBack givenBack = new GivenBack();

  /** Where an arrival turns with what it cannot settle itself. */
  record Surroundings(
      LedgerQueue writes,
      OnRemove onRemove,
      RequestLine requests,
      Runnable whenAllResolved,
      Consumer<Throwable> onFailure,
      DestinationListener listener) {}

  /**
   * Registers the guest's memory: from here on a touch of a missing page waits. Memory that is
   * registered already, with the same descriptor, stays as it is. Nothing is ever unregistered:
   * that would turn what is missing into zeros. It ends with the memory.
   *
   * @throws IOException if the kernel refuses to
   */
  Arrival(
      Guest guest,
      LedgerJournal journal,
      Userfaultfd userfaultfd,
      MarkerScan scan,
      Surroundings around)
      throws IOException {
    this.guest = guest;
    this.journal = journal;
    this.flushRequests = around.requests()::flush;
    GuestMemory memory = guest.memory();
    this.scan = scan;
    watcher = WatchedKind.watcher(userfaultfd, memory);
    GuestLayout layout = memory.layout();
    givenUp = new GivenUp(around.onRemove(), layout, ledger(), balloon);
    table = new PageTable(layout.pageCount());
    resolver =
        new PageResolver(
            memory, table, watcher, givenBack, around.listener(), around.whenAllResolved());
    faults =
        new PageFaults(
            layout,
            table,
            resolver,
            givenBack,
            givenUp,
            around.listener(),
            around.requests()::present);
    if (givenUp.isAllowed()) {
      resolver.spareGivenBack();
    }
    recorder =
        new PoisonRecorder(layout, table, resolver, journal, around.writes(), around.listener());
    audit = new Audit(memory, table, resolver, givenBack, givenUp, scan);
    FaultLoop.Reactions reactions =
        new FaultLoop.Reactions(
            onFault(around.onFailure()),
            run -> {
              resolver.giveBackUnresolved(run);
              around.listener().givenBack(run.pageCount());
            },
            around.requests()::flush,
            around.onFailure());
    faultLoop = new FaultLoop(userfaultfd, memory, givenBack, reactions, around.listener());
    resolver.onPendingEvents(faultLoop::drain);
    register();
  }

  private LongConsumer onFault(Consumer<Throwable> onFailure) {
    int unitPages = watcher.unitPages();
    HugeFaults huge = new HugeFaults(faults, givenBack, unitPages);
    return unitPages == 1
        ? page -> faults.onFault(page, onFailure)
        : page -> huge.onFault(page, onFailure);
  }

  /** Apart from the session's, which may wait for faults in an audit. */
  private static ExecutorService newBalloonThread() {
    return Executors.newSingleThreadExecutor(
        task -> {
          Thread thread = new Thread(task, "ward-given-up");
          thread.setDaemon(true);
          return thread;
        });
  }

  private GivenUp.Ledger ledger() {
    return new GivenUp.Ledger() {
      @Override
      public boolean isLost(long guestPhysicalAddress) {
        return journal.ledger().contains(guestPhysicalAddress);
      }

      @Override
      public void giveUp(PageSet frames) throws LedgerException {
        journal.appendGivenUp(frames);
      }
    };
  }

  private void register() throws IOException {
    List<GuestRegion> regions = layout().regions();
    for (int region = 0; region < regions.size(); region++) {
      watcher.register(
          guest.memory().hostAddressOfRegion(region), regions.get(region).lengthBytes());
    }
  }

  /**
   * Goes on with what another process has left in the guest's memory.
   *
   * @param givenBack page indexes
   * @return what it was, for people
   * @throws InheritanceException if it contradicts the ledger
   */
  String inherit(MarkerScan scan, PageSet givenBack) throws IOException {
    InheritedPages pages =
        InheritedPages.of(guest.memory(), scan, journal.ledger(), givenBack, true);
    pages.moveInto(table, resolver, this.givenBack);
    poisonedFrames.addAll(pages.poisonedFrames());
    return pages.toString();
  }

  /**
   * Lets every thread that waits for a page touch it again. A fault that another process has read
   * is never told again: its thread would wait for ever.
   */
  void wakeEverybody() {
    for (int region = 0; region < layout().regions().size(); region++) {
      watcher.wake(
          guest.memory().hostAddressOfRegion(region), layout().regions().get(region).lengthBytes());
    }
  }

  /** Stops the guest for good and unmaps its memory. */
  void end() {
    balloon.shutdown();
    try {
      balloon.awaitTermination(END_SECONDS, TimeUnit.SECONDS);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
    guest.close();
    faultLoop.end();
  }

  /** Of a guest that stands still: no page of it is empty afterwards. */
  void fillGivenBack() throws IOException {
    audit.fillEmptyPages();
  }

  /** Pages that the guest gets, or loses, together. */
  int unitPages() {
    return watcher.unitPages();
  }

  /** Page indexes: huge pages of which a part is lost and a part is not. */
  PageSet torn() {
    return watcher.torn();
  }

  /** Of a guest whose every page is here, or lost; it may run. */
  CollapseReport collapse(BooleanSupplier goOn) throws IOException {
    return new Collapse(guest.memory(), table, givenBack, scan, watcher).run(goOn);
  }

  Guest guest() {
    return guest;
  }

  GuestLayout layout() {
    return guest.memory().layout();
  }

  LedgerJournal journal() {
    return journal;
  }

  PageTable table() {
    return table;
  }

  PageResolver resolver() {
    return resolver;
  }

  PageFaults faults() {
    return faults;
  }

  FaultLoop faultLoop() {
    return faultLoop;
  }

  PoisonRecorder recorder() {
    return recorder;
  }

  Audit audit() {
    return audit;
  }

  GivenUp givenUp() {
    return givenUp;
  }

  /**
   * Guest frame numbers of pages that the source lost and that the guest has given up here.
   *
   * @param pages page indexes, given up
   */
  PageSet givenUpFrames(PageSet pages) {
    PageSet frames = givenUp.framesOf(pages);
    frames.retainAll(poisonedFrames);
    return frames;
  }

  /**
   * Guest frame numbers that this migration poisoned, also those that were given up since. Confined
   * to the session's thread.
   */
  PageSet poisonedFrames() {
    return poisonedFrames;
  }

  /**
   * @throws ProtocolException if an entry is not RAM throughout
   */
  void requireInLayout(List<PoisonEntry> entries) {
    PageAnswers.requireInLayout(layout(), entries);
  }

  /**
   * @throws ProtocolException if a loss is not RAM throughout
   */
  void requireInLayout(PoisonMap losses) {
    PageSet outside = losses.frames();
    outside.removeAll(layout().frames());
    if (!outside.isEmpty()) {
      throw new ProtocolException(
          "poison at guest-physical address 0x%x, %d pages in all, is outside the guest's memory"
              .formatted(outside.first() << Pages.SHIFT, outside.size()));
    }
  }

  /**
   * @param frames guest frame numbers
   * @throws ProtocolException if one is not RAM
   */
  void requireInLayout(PageSet frames) {
    frames.forEachRun(
        run -> {
          if (layout().runAt(run.firstPage() << Pages.SHIFT, run.pageCount()).isEmpty()) {
            throw new ProtocolException(
                "%d pages from guest frame %d were given up, which are outside the guest's memory"
                    .formatted(run.pageCount(), run.firstPage()));
          }
        });
  }

  /** What page answers act on. */
  PageAnswers.Parts answerParts() {
    return new PageAnswers.Parts(layout(), faults, resolver, recorder, flushRequests);
  }
}
