package ward.destination;

import java.io.IOException;
import java.net.InetSocketAddress;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import ward.thread.SessionThread;
import ward.wire.ControlMessage;

/**
 * What an operator wants, here or at the source: to give the migration up, or to dial again.
 *
 * <p>Confined to the session's thread.
 */
final class Orders {

  private final SourceLoss policy;
  private final Course course;
  private final SourceContact contact;
  private final Recovery recovery;
  private final Cancellations cancels;
  private final Ending ending;
  private final SessionThread thread;

  Orders(
      SourceLoss policy,
      Course course,
      SourceContact contact,
      Recovery recovery,
      Cancellations cancels,
      Ending ending,
      SessionThread thread) {
    this.policy = policy;
    this.course = course;
    this.contact = contact;
    this.recovery = recovery;
    this.cancels = cancels;
    this.ending = ending;
    this.thread = thread;
  }

  /**
   * @throws IOException if the guest has run here, or the migration has ended
   */
  void cancel(String reason, CompletableFuture<String> answer) throws IOException {
    requireCancellable();
    cancels.add(reason, answer);
    if (isSourceUnheard()) {
      thread.later(() -> cancels.stillUnheard(answer), Cancellations.PATIENCE);
      recovery.dialNow();
    } else {
      ending.cancel();
    }
  }

  private boolean isSourceUnheard() {
    return course.is(DestinationPhase.RECOVERING)
        && (contact.present().isOver() || !contact.present().isProven());
  }

  private void requireCancellable() throws IOException {
    if (course.isOver()) {
      throw new IOException("this migration has ended already, in phase " + course.phase());
    }
    if (course.hasRun()) {
      throw new IOException(
          "the guest has run here, %d of its %d pages are at the source only: it cannot go back. Let the migration end, and move the guest back by another one"
              .formatted(course.unresolved(), course.arrival().table().pageCount()));
    }
  }

  /** The operator of the source wants it. */
  void onCancelRequest(ControlMessage.CancelRequest request) {
    try {
      requireCancellable();
    } catch (IOException refused) {
      contact.send(new ControlMessage.CancelRefused(refused.getMessage()));
      return;
    }
    cancels.add(request.reason() + ", at the source", new CompletableFuture<>());
    ending.cancel();
  }

  /**
   * @return what is being done
   * @throws IOException if there is nothing to recover
   */
  String reconnect(Optional<InetSocketAddress> address) throws IOException {
    requireReconnectable();
    address.ifPresent(contact::moveTo);
    if (course.is(DestinationPhase.RUNNING)) {
      recovery.recover("an operator gives the connections up");
    }
    recovery.dialAtOnce();
    return "dialling %s, session %s, attempt %d"
        .formatted(contact.peer().address(), contact.session(), contact.attempt() + 1);
  }

  private void requireReconnectable() throws IOException {
    boolean running = course.is(DestinationPhase.RUNNING);
    if (!running && !course.is(DestinationPhase.RECOVERING)) {
      throw new IOException(
          "nothing to recover in phase %s; it is possible in phases %s and %s"
              .formatted(course.phase(), DestinationPhase.RECOVERING, DestinationPhase.RUNNING));
    }
    if (running && policy.isReached(0, course.isSourceNeeded())) {
      throw new IOException(
          "with --source-loss-after 0 the first broken connection is the loss of the source, also if an operator breaks it");
    }
  }
}
