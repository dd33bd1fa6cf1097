package ward.source;

import java.io.IOException;
import java.util.Optional;
import ward.memory.PageSet;
import ward.thread.SessionThread;
import ward.wire.ControlMessage;
import ward.wire.ControlMessage.Refusal;
import ward.wire.ProtocolException;

/**
 * What the two sides tell each other after a break, until both know of every page again whose it
 * is: this side proves what it serves, the destination says what it has, and both compare all
 * poison.
 *
 * <p>Confined to the session's thread.
 */
final class Exchange {

  private final SourceParts parts;
  private final StreamCursor cursor;
  private final AwaitedReports awaited;
  private final Course course;
  private final DestinationContact contact;
  private final Offer offer;
  private final Orders orders;
  private final Ending ending;
  private final SessionThread thread;
  private ReturnedDestination returned; // null while none is telling what it has

  Exchange(
      SourceParts parts,
      StreamCursor cursor,
      AwaitedReports awaited,
      Course course,
      DestinationContact contact,
      Offer offer,
      Orders orders,
      Ending ending,
      SessionThread thread) {
    this.parts = parts;
    this.cursor = cursor;
    this.awaited = awaited;
    this.course = course;
    this.contact = contact;
    this.offer = offer;
    this.orders = orders;
    this.ending = ending;
    this.thread = thread;
  }

  /** The destination is back. */
  void begin() throws IOException {
    returned = new ReturnedDestination(parts, cursor);
    contact.send(new ControlMessage.SourceIdentity(offer.memoryNow()));
  }

  /** It is gone again: what it said is void. */
  void forget() {
    returned = null;
  }

  void onPart(ControlMessage.RecoveryPart part) {
    requireReturned("RecoveryPart").add(part);
  }

  void onEnd(ControlMessage.RecoveryEnd end) {
    ReturnedDestination destination = requireReturned("RecoveryEnd");
    destination.end(end);
    // A loss that an old connection's reader has found is on its way to this thread, in front of
    // what is said now; judged before it, the destination would never be told.
    thread.run(
        () -> {
          if (destination == returned) {
            agreeWith(destination);
          }
        });
  }

  private ReturnedDestination requireReturned(String message) {
    if (!course.is(SourcePhase.AWAITING_RETURN) || returned == null || returned.hasEnded()) {
      throw new ProtocolException(
          "%s in phase %s; it is a destination's first word after a break"
              .formatted(message, course.phase()));
    }
    return returned;
  }

  private void agreeWith(ReturnedDestination destination) {
    destination.startOver();
    destination.losses().forEach(contact::send);
    awaited.confirm(destination.poisoned(), new PageSet());
    contact.send(new ControlMessage.PoisonMapCheck());
  }

  /** The destination has dealt with every loss that it was told of. */
  void onMapChecked(ControlMessage.PoisonMapApplied applied) {
    if (returned == null || !returned.hasEnded()) {
      throw new ProtocolException("PoisonMapApplied before RecoveryEnd");
    }
    Optional<String> objection = returned.objection(applied);
    if (objection.isPresent()) {
      contact.send(new Refusal(Refusal.Code.POISON_MAP, objection.get()));
      ending.fail(SourceOutcome.Kind.VERIFICATION_FAILED, objection.get());
    } else {
      recovered(returned);
    }
  }

  private void recovered(ReturnedDestination destination) {
    returned = null;
    course.enter(
        destination.isResumed() ? SourcePhase.SERVING : SourcePhase.MAP_APPLIED,
        "the destination is back, by attempt " + contact.attempt());
    if (destination.isResumed()) {
      orders.refuseIfOpen();
    }
    contact.send(new ControlMessage.RecoveryAccepted());
    orders.askIfOpen(); // before it may run the guest, if it may not yet
    if (!destination.isReleased()) {
      offer.release();
    }
  }
}
