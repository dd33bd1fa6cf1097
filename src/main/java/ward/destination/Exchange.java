package ward.destination;

import java.util.Optional;
import ward.memory.PageSet;
import ward.poison.LedgerDigest;
import ward.wire.ControlMessage;
import ward.wire.ControlMessage.Refusal;

/**
 * What the two sides tell each other after a break, until both know of every page again whose it
 * is: the source proves what it serves, this side says what it has, and both compare all poison.
 *
 * <p>Confined to the session's thread.
 */
final class Exchange {

  private final Course course;
  private final SourceContact contact;
  private final IncomingMap map;
  private final LossAccount losses;
  private final Recovery recovery;
  private final Cancellations cancels;
  private final Ending ending;

  Exchange(
      Course course,
      SourceContact contact,
      IncomingMap map,
      LossAccount losses,
      Recovery recovery,
      Cancellations cancels,
      Ending ending) {
    this.course = course;
    this.contact = contact;
    this.map = map;
    this.losses = losses;
    this.recovery = recovery;
    this.cancels = cancels;
    this.ending = ending;
  }

  /**
   * Whoever answers after a break may be another process than the one that made the offer. Nothing
   * that it says counts before it has proven whose memory it serves, and what it says cannot end
   * the migration: the right one may come yet.
   */
  void onStranger(ControlMessage message) {
    if (message instanceof ControlMessage.SourceIdentity identity) {
      onIdentity(identity);
    } else {
      String text =
          message instanceof Refusal refusal
              ? "refused: " + refusal.reason()
              : "%s before SourceIdentity".formatted(message.getClass().getSimpleName());
      recovery.recover(text);
    }
  }

  private void onIdentity(ControlMessage.SourceIdentity identity) {
    Optional<String> contradiction = map.memory().contradiction(identity.memory());
    if (contradiction.isPresent()) {
      String text = "this source does not serve the guest that was offered: " + contradiction.get();
      contact.send(new Refusal(Refusal.Code.OTHER_GUEST, text));
      recovery.recover(text);
    } else {
      contact.present().prove();
      onProven();
    }
  }

  private void onProven() {
    if (cancels.isWanted()) {
      ending.cancel(); // only the right source may take its guest back by this word
    } else {
      sendResolved();
    }
  }

  /** Every thread has let go of the connections before, so this is all that came by them. */
  private void sendResolved() {
    Arrival arrival = course.arrival();
    PageSet poisoned = losses.tellGivenUpSoFar();
    ResolvedPages resolved = ResolvedPages.of(arrival.layout(), arrival.table(), poisoned);
    resolved.parts().forEach(contact::send);
    contact.send(
        new ControlMessage.RecoveryEnd(
            resolved.presentPages(), poisoned.size(), map.isReleased(), course.hasRun()));
  }

  /** The losses that came before it are dealt with first, however long the disk takes. */
  void onMapCheck() {
    course.requireMessageIn(DestinationPhase.RECOVERING, "PoisonMapCheck");
    Connections of = contact.present();
    course.arrival().recorder().afterwards(() -> answerMapCheck(of));
  }

  private void answerMapCheck(Connections of) {
    if (!of.isOver()) {
      PageSet poisoned = losses.tellGivenUpSoFar();
      contact.send(
          new ControlMessage.PoisonMapApplied(poisoned.size(), LedgerDigest.ofFrames(poisoned)));
    }
  }
}
