package ward.destination;

import ward.memory.PageSet;
import ward.wire.ControlMessage;
import ward.wire.ProtocolException;

/**
 * What the two sides tell each other of losses after the poison map: those that the source has
 * found since, and those that the guest has given up here.
 *
 * <p>Confined to the session's thread. Page sets hold guest frame numbers.
 */
final class LossAccount {

  private final Course course;
  private final SourceContact contact;
  private final DestinationListener listener;
  private final Widening widening;

  LossAccount(
      Course course, SourceContact contact, DestinationListener listener, Widening widening) {
    this.widening = widening;
    this.course = course;
    this.contact = contact;
    this.listener = listener;
  }

  void onLatePoison(ControlMessage.LatePoison late) {
    Arrival arrival = course.arrival();
    if (arrival == null) {
      throw new ProtocolException("LatePoison before the poison map");
    }
    arrival.requireInLayout(late.entries());
    arrival.recorder().accept(late.entries(), this::learnt);
  }

  /** A loss has been dealt with: the source waits for that word. */
  void learnt(PageSet poisoned, PageSet held) {
    noted(poisoned, held);
    contact.send(new ControlMessage.PoisonOutcome(poisoned, held));
  }

  /** A loss has been dealt with that no source waits to hear of. */
  void noted(PageSet poisoned, PageSet held) {
    course.arrival().poisonedFrames().addAll(poisoned);
    listener.latePoison(poisoned, held);
    widening.ask();
  }

  /** Tells the source what the guest has given up; answers what is lost without that. */
  PageSet tellGivenUp(PageSet givenUp) {
    ControlMessage.PoisonGivenUp.inParts(givenUp).forEach(contact::send);
    PageSet lost = course.arrival().poisonedFrames().copy();
    lost.removeAll(givenUp);
    return lost;
  }

  PageSet tellGivenUpSoFar() {
    Arrival arrival = course.arrival();
    return tellGivenUp(arrival.givenUpFrames(arrival.givenUp().copy()));
  }
}
