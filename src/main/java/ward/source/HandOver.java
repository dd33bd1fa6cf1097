package ward.source;

import java.io.IOException;
import java.time.Duration;
import java.util.Optional;
import ward.poison.LedgerQueue;
import ward.wire.ControlMessage;
import ward.wire.ControlMessage.Refusal;

/**
 * When this side lets go: the destination has accounted for every page, nothing is open between the
 * two, and the disk here says so.
 *
 * <p>Confined to the session's thread.
 */
final class HandOver {

  /**
   * How long a destination that has everything may take to say that it knows. Nothing depends on
   * it: the copy here is of no use any more.
   */
  private static final Duration CONFIRM_WITHIN = Duration.ofSeconds(60);

  private final SourceParts parts;
  private final LedgerQueue writes;
  private final MigrationBook book;
  private final Course course;
  private final DestinationContact contact;
  private final Ending ending;
  private final Patience patience;
  private ControlMessage.HandOver pending; // null while there is none to decide

  HandOver(
      SourceParts parts,
      LedgerQueue writes,
      MigrationBook book,
      Course course,
      DestinationContact contact,
      Ending ending,
      Patience patience) {
    this.parts = parts;
    this.writes = writes;
    this.book = book;
    this.course = course;
    this.contact = contact;
    this.ending = ending;
    this.patience = patience;
  }

  void onHandOver(ControlMessage.HandOver handOver) throws IOException {
    course.requireMessageIn(SourcePhase.SERVING, "HandOver");
    pending = handOver;
    decide();
  }

  /** The connections broke: after a break it is said again. */
  void forget() {
    pending = null;
  }

  /** Poison that the destination has not answered for yet would make any verdict premature. */
  void decide() throws IOException {
    LostPages lost = parts.lost();
    if (pending == null || !course.is(SourcePhase.SERVING) || !lost.isConfirmed()) {
      return;
    }
    Optional<String> objection =
        HandOverCheck.objection(parts.layout(), lost.lostForTheGuest(), pending);
    if (objection.isPresent()) {
      contact.send(new Refusal(Refusal.Code.HAND_OVER, objection.get()));
      ending.fail(SourceOutcome.Kind.VERIFICATION_FAILED, objection.get());
    } else if (!lost.isSettled()) {
      lost.settle(this::decide);
    } else if (!book.isHandedOver()) {
      writes.add(this::writeAndDecide);
    } else {
      agree();
    }
  }

  private void writeAndDecide() throws IOException {
    book.handedOver();
    decide();
  }

  private void agree() {
    course.enter(SourcePhase.HANDING_OVER, "counts, ledger and markers agree");
    contact.send(new ControlMessage.HandOverAccepted());
    awaitConfirmation();
  }

  void awaitConfirmation() {
    patience.giveUpAfter(CONFIRM_WITHIN, this::stopWaiting);
  }

  private void stopWaiting() {
    ending.handedOver(
        "the guest is at the destination, whole; it has not said within %d s that it was told so"
            .formatted(CONFIRM_WITHIN.toSeconds()));
  }

  void onConfirmed() {
    course.requireMessageIn(SourcePhase.HANDING_OVER, "HandOverConfirmed");
    ending.handedOver("the guest is at the destination");
  }
}
