package ward.destination;

import java.io.IOException;
import java.util.List;
import java.util.concurrent.Executor;
import java.util.function.Consumer;
import ward.guest.Guest;
import ward.guest.GuestMemory;
import ward.memory.GuestLayout;
import ward.memory.GuestRegion;
import ward.memory.PageSet;
import ward.poison.LedgerJournal;
import ward.poison.PoisonEntry;
import ward.uffd.MarkerScan;
import ward.uffd.Userfaultfd;
import ward.uffd.UserfaultfdException;
import ward.wire.ProtocolException;

/** Everything that belongs to one guest on its way in, from the moment its shape is known. */
final class Arrival {

  private final Guest guest;
  private final LedgerJournal journal;
  private final PageTable table;
  private final PageResolver resolver;
  private final PageFaults faults;
  private final FaultLoop faultLoop;
  private final PoisonRecorder recorder;
  private final Audit audit;
  private final PageSet poisonedFrames = new PageSet();
  private final Runnable flushRequests;
  private final Userfaultfd userfaultfd;
  private int registeredRegions;

  /** Where an arrival turns with what it cannot settle itself. */
  record Surroundings(
      Executor disk,
      RequestLine requests,
      Runnable whenAllResolved,
      Consumer<Throwable> onFailure,
      DestinationListener listener) {}

  /**
   * Registers the guest's memory: from here on a touch of a missing page waits.
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
    GuestLayout layout = memory.layout();
    GivenBack givenBack = new GivenBack();
    table = new PageTable(layout.pageCount());
    resolver =
        new PageResolver(
            memory, table, userfaultfd, givenBack, around.listener(), around.whenAllResolved());
    faults =
        new PageFaults(
            layout, table, resolver, givenBack, around.listener(), around.requests()::present);
    recorder =
        new PoisonRecorder(layout, table, resolver, journal, around.disk(), around.onFailure());
    audit = new Audit(memory, table, resolver, givenBack, scan);
    FaultLoop.Reactions reactions =
        new FaultLoop.Reactions(
            page -> faults.onFault(page, around.onFailure()),
            run -> {
              resolver.giveBackUnresolved(run);
              around.listener().givenBack(run.pageCount());
            },
            around.requests()::flush,
            around.onFailure());
    faultLoop = new FaultLoop(userfaultfd, memory, givenBack, reactions, around.listener());
    resolver.onPendingEvents(faultLoop::drain);
    this.userfaultfd = userfaultfd;
    register();
  }

  private void register() throws IOException {
    List<GuestRegion> regions = guest.memory().layout().regions();
    try {
      for (GuestRegion region : regions) {
        userfaultfd.register(
            guest.memory().hostAddressOfRegion(registeredRegions), region.lengthBytes());
        registeredRegions++;
      }
    } catch (IOException e) {
      unregister();
      throw e;
    }
  }

  /** Stops the guest for good and unmaps its memory. */
  void end() {
    guest.close();
  }

  /** Of a guest that stands still: no page of it is empty afterwards. */
  void fillGivenBack() throws IOException {
    audit.fillEmptyPages();
  }

  private void unregister() throws UserfaultfdException {
    while (registeredRegions > 0) {
      registeredRegions--;
      userfaultfd.unregister(
          guest.memory().hostAddressOfRegion(registeredRegions),
          layout().regions().get(registeredRegions).lengthBytes());
    }
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

  /** Guest frame numbers that this migration poisoned. Confined to the session's thread. */
  PageSet poisonedFrames() {
    return poisonedFrames;
  }

  /**
   * @throws ProtocolException if an entry is not RAM throughout
   */
  void requireInLayout(List<PoisonEntry> entries) {
    PageAnswers.requireInLayout(layout(), entries);
  }

  /** What page answers act on. */
  PageAnswers.Parts answerParts() {
    return new PageAnswers.Parts(layout(), faults, resolver, recorder, flushRequests);
  }
}
