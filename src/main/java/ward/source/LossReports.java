package ward.source;

import java.io.IOException;
import java.util.List;
import java.util.OptionalLong;
import java.util.concurrent.CompletableFuture;
import ward.memory.GuestLayout;
import ward.memory.PageSet;
import ward.poison.LedgerException;
import ward.poison.LedgerJournal;
import ward.poison.PoisonEntry;
import ward.wire.ControlMessage;
import ward.wire.ProtocolException;

/**
 * Losses that are news while a migration goes on: what people report here, and what the destination
 * makes of them and of those that this side found itself.
 *
 * <p>Confined to the session's thread.
 */
final class LossReports {

  private final SourceParts parts;
  private final LedgerJournal journal;
  private final AwaitedReports awaited;
  private final Course course;
  private final DestinationContact contact;

  LossReports(
      SourceParts parts,
      LedgerJournal journal,
      AwaitedReports awaited,
      Course course,
      DestinationContact contact) {
    this.parts = parts;
    this.journal = journal;
    this.awaited = awaited;
    this.course = course;
    this.contact = contact;
  }

  /**
   * @param answer completes when the destination has answered for all of it
   * @throws IOException if the loss is not this side's any more, or of no page of the guest
   */
  void report(List<PoisonEntry> entries, CompletableFuture<PoisonReport.Result> answer)
      throws IOException {
    requireInTime();
    requireInLayout(entries);
    PageSet known = journal.ledger().frames();
    PoisonReport report = PoisonReport.of(entries, known, answer);
    parts.lost().record(entries);
    if (course.is(SourcePhase.LISTENING)) {
      report.allPoisoned();
    } else {
      sendLate(entries, report);
    }
  }

  private void sendLate(List<PoisonEntry> entries, PoisonReport report) {
    if (report.isFinished()) {
      report.finish();
      return;
    }
    awaited.add(report);
    contact.send(new ControlMessage.LatePoison(entries));
  }

  private void requireInTime() throws IOException {
    if (course.isOver() || course.hasAgreed()) {
      throw new IOException(
          "too late: this source is in phase %s; report the loss where the guest is"
              .formatted(course.phase()));
    }
  }

  private void requireInLayout(List<PoisonEntry> entries) throws IOException {
    GuestLayout layout = parts.layout();
    for (PoisonEntry entry : entries) {
      long pages = 1L << (entry.pageShift() - PoisonEntry.MIN_PAGE_SHIFT);
      OptionalLong first = layout.runAt(entry.guestPhysicalAddress(), pages);
      if (first.isEmpty()) {
        throw new IOException(
            "guest-physical address 0x%x, %d pages, is not RAM of guest %s; see the layout file"
                .formatted(entry.guestPhysicalAddress(), pages, layout.guest()));
      }
    }
  }

  /**
   * The destination can only lose more than is lost: it is lost here, too, from now on. The guest
   * runs there, so what this side has of it is of no other use.
   *
   * @throws ProtocolException if the guest does not, or the extent is not its own
   */
  void onWidened(ControlMessage.ReportPoison report) throws IOException {
    if (!course.is(SourcePhase.SERVING)) {
      throw new ProtocolException("a destination reports a loss in phase " + course.phase());
    }
    try {
      report(report.entries(), new CompletableFuture<>());
    } catch (LedgerException e) {
      throw e;
    } catch (IOException e) {
      throw new ProtocolException(e.getMessage());
    }
  }

  void onOutcome(ControlMessage.PoisonOutcome poison) {
    parts.lost().confirmed(poison.poisoned(), poison.held());
    awaited.confirm(poison.poisoned(), poison.held());
  }

  /** Fresh memory of the destination's, by the guest's own doing: no loss any more. */
  void onGivenUp(ControlMessage.PoisonGivenUp givenUp) {
    if (!course.is(SourcePhase.SERVING) && !course.is(SourcePhase.AWAITING_RETURN)) {
      throw new ProtocolException("PoisonGivenUp in phase " + course.phase());
    }
    parts.lost().givenUp(givenUp.frames());
  }
}
