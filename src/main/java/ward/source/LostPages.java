package ward.source;

import java.time.Clock;
import java.util.List;
import java.util.function.Consumer;
import java.util.function.LongConsumer;
import ward.memory.GuestLayout;
import ward.memory.PageSet;
import ward.memory.Pages;
import ward.poison.LedgerException;
import ward.poison.LedgerJournal;
import ward.poison.LedgerQueue;
import ward.poison.Origin;
import ward.poison.PoisonEntry;
import ward.poison.Severity;

/**
 * What this host knows to be lost, and what of it the destination has not confirmed yet.
 *
 * <p>Confined to the session's thread, which waits for the disk: an entry is in the journal before
 * anyone is told.
 */
final class LostPages {

  private final GuestLayout layout;
  private final ServedPages served;
  private final LedgerJournal journal;
  private final String host;
  private final Clock clock;
  private final LedgerQueue writes;
  private final SourceListener listener;
  private final PageSet unconfirmed = new PageSet();
  private final PageSet held = new PageSet();
  private final PageSet givenUp = new PageSet();
  private final PageSet settled = new PageSet();

  LostPages(
      GuestLayout layout,
      ServedPages served,
      LedgerJournal journal,
      SourceSettings settings,
      Clock clock,
      LedgerQueue writes,
      SourceListener listener) {
    this.layout = layout;
    this.served = served;
    this.journal = journal;
    this.host = settings.host();
    this.clock = clock;
    this.writes = writes;
    this.listener = listener;
  }

  /** Takes over what the ledger knew before the migration. */
  void startFromLedger() {
    journal.ledger().frames().forEachRun(frames -> layout.pagesOf(frames).forEach(served::lose));
  }

  private long pageOf(long frame) {
    return layout.pageAt(frame << Pages.SHIFT).orElseThrow();
  }

  /** An entry for a page that could not be read here just now. */
  PoisonEntry unreadable(long page) {
    Origin origin = new Origin(host, clock.instant(), Origin.Discovery.UNREADABLE);
    return new PoisonEntry(
        layout.addressOf(page), PoisonEntry.MIN_PAGE_SHIFT, Severity.ACTION_REQUIRED, origin);
  }

  /**
   * Records a loss found on another thread, then lets it be answered. A page whose loss cannot be
   * written is not answered at all: the destination's guest waits for it.
   *
   * @param answer called on the session's thread, when the entry is on disk
   */
  void found(long page, Consumer<List<PoisonEntry>> answer) {
    PoisonEntry entry = unreadable(page);
    writes.add(
        () -> {
          record(List.of(entry));
          answer.accept(entriesAt(page));
        });
  }

  /** On the session's thread: the journal first, then the page states. */
  void record(List<PoisonEntry> entries) throws LedgerException {
    for (PoisonEntry news : journal.append(entries)) {
      listener.poisonLearnt(news);
    }
    for (PoisonEntry entry : entries) {
      forEachFrame(entry, this::lose);
    }
  }

  private void lose(long frame) {
    if (served.lose(pageOf(frame))) {
      unconfirmed.add(frame);
    }
  }

  /** The guest frame numbers of an extent. */
  static void forEachFrame(PoisonEntry entry, LongConsumer action) {
    long first = entry.guestPhysicalAddress() >>> Pages.SHIFT;
    long count = 1L << (entry.pageShift() - PoisonEntry.MIN_PAGE_SHIFT);
    for (long frame = first; frame < first + count; frame++) {
      action.accept(frame);
    }
  }

  /**
   * The ledger's entries that cover a page, with their origins. Of a larger extent of which a part
   * is intact, only the page: the destination would take the whole extent for lost.
   */
  List<PoisonEntry> entriesAt(long page) {
    return journal.ledger().effectiveEntriesAt(layout.addressOf(page));
  }

  /**
   * The destination's word on poison that it learnt after the map. A page that it held, it had
   * copied before the loss: the guest's page is intact there, and only there. It cannot have held
   * what the map called lost, nor what it called poisoned before: such a claim changes nothing.
   */
  void confirmed(PageSet poisonedFrames, PageSet heldFrames) {
    heldFrames.forEach(
        frame -> {
          if (unconfirmed.contains(frame)) {
            entriesAt(pageOf(frame)).forEach(listener::held);
            held.add(frame);
          }
        });
    unconfirmed.removeAll(poisonedFrames);
    unconfirmed.removeAll(heldFrames);
  }

  /**
   * What the guest has given back where it runs, and has fresh memory for.
   *
   * @param frames guest frame numbers; those that are not lost here are of no interest
   */
  void givenUp(PageSet frames) {
    PageSet ours = journal.ledger().frames();
    ours.retainAll(frames);
    givenUp.addAll(ours);
    unconfirmed.removeAll(ours);
  }

  /**
   * After a break: what the destination has not answered for, as far as it knows now.
   *
   * @return guest frame numbers that are lost here, and that it neither names as poisoned nor held
   *     for good
   */
  PageSet unknownTo(PageSet poisonedThere) {
    PageSet unknown = lostForTheGuest();
    unknown.removeAll(poisonedThere);
    unconfirmed.removeAll(poisonedThere);
    unconfirmed.addAll(unknown);
    return unknown;
  }

  /** The map that is being sent lists these: its acknowledgement answers for them. */
  void inTheMap(PageSet frames) {
    unconfirmed.removeAll(frames);
  }

  /** Guest frame numbers that are lost for the guest, wherever it goes from here. */
  PageSet lostForTheGuest() {
    PageSet frames = journal.ledger().frames();
    frames.removeAll(held);
    frames.removeAll(givenUp);
    return frames;
  }

  /** Of those, what the destination has answered for. */
  PageSet agreed() {
    PageSet frames = lostForTheGuest();
    frames.removeAll(unconfirmed);
    return frames;
  }

  /**
   * Whether the ledger says of everything that the destination held, or the guest gave up there,
   * that it is not lost.
   */
  boolean isSettled() {
    PageSet open = held.copy();
    open.addAll(givenUp);
    open.removeAll(settled);
    return open.isEmpty();
  }

  /**
   * The destination will have the guest: what it held is not lost any more, for good.
   *
   * @param then called on the session's thread, when that is on disk
   */
  void settle(LedgerQueue.Write then) {
    PageSet nowHeld = held.copy();
    PageSet nowGivenUp = givenUp.copy();
    writes.add(
        () -> {
          journal.appendHeld(nowHeld);
          journal.appendGivenUp(nowGivenUp);
          settled.addAll(nowHeld);
          settled.addAll(nowGivenUp);
          then.run();
        });
  }

  /** Whether the destination has answered for all of it. */
  boolean isConfirmed() {
    return unconfirmed.isEmpty();
  }
}
