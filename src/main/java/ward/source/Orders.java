package ward.source;

import java.time.Duration;
import java.util.concurrent.CompletableFuture;
import ward.thread.SessionThread;
import ward.wire.ControlMessage;

/**
 * What becomes of an operator's wish that the guest stays here. Only the destination knows whether
 * it has run the guest; while there is none, it is asked later.
 *
 * <p>Confined to the session's thread.
 */
final class Orders {

  private final CancelRequests cancels;
  private final Course course;
  private final DestinationContact contact;
  private final Ending ending;
  private final SessionThread thread;

  Orders(
      CancelRequests cancels,
      Course course,
      DestinationContact contact,
      Ending ending,
      SessionThread thread) {
    this.cancels = cancels;
    this.course = course;
    this.contact = contact;
    this.ending = ending;
    this.thread = thread;
  }

  /**
   * @param guestNeverRan the operator's word for a destination that cannot be asked any more
   */
  void cancel(String reason, boolean guestNeverRan, CompletableFuture<String> answer) {
    cancels.add(reason, answer);
    switch (course.beforeAnyBreak()) {
      case LISTENING, SENDING_MAP -> cancelHere();
      case MAP_APPLIED -> {
        if (guestNeverRan && course.is(SourcePhase.AWAITING_RETURN)) {
          takeBack();
        } else {
          ask();
          thread.later(
              () -> cancels.unanswered(answer),
              Duration.ofSeconds(CancelRequests.PATIENCE_SECONDS));
        }
      }
      default -> cancels.refused(whyNot());
    }
  }

  private String text() {
    return "cancelled by an operator: " + cancels.reason();
  }

  private void cancelHere() {
    contact.send(new ControlMessage.Farewell(text(), false));
    ending.fail(SourceOutcome.Kind.ABORTED, text());
  }

  private void takeBack() {
    ending.takeBack(text() + ", by whose word the destination has not run the guest, and will not");
  }

  private void ask() {
    contact.send(new ControlMessage.CancelRequest(cancels.reason()));
  }

  /** The destination is back; asked now, it hears so before it may run the guest. */
  void askIfOpen() {
    if (cancels.isOpen()) {
      ask();
    }
  }

  /** The guest runs at the destination: there is nothing to be asked any more. */
  void refuseIfOpen() {
    if (cancels.isOpen()) {
      cancels.refused(whyNot());
    }
  }

  private String whyNot() {
    return course.isOver()
        ? "this migration has ended already, in phase " + course.phase()
        : "the guest has run at the destination, %s: it cannot be taken back. Let the migration end, and move the guest back by another one; SIGTERM would end this daemon, and with it what has not arrived there"
            .formatted(contact.peer().host());
  }
}
