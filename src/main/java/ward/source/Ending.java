package ward.source;

import java.io.IOException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import ward.thread.SessionThread;
import ward.wire.ProtocolException;

/**
 * Every way in which an outgoing migration can end, and what is put in order then.
 *
 * <p>Confined to the session's thread, except {@link #failed}.
 */
final class Ending {

  private static final Logger log = LoggerFactory.getLogger(Ending.class);

  private final Course course;
  private final DestinationContact contact;
  private final DepartingGuest guest;
  private final MigrationBook book;
  private final CancelRequests cancels;
  private final AwaitedReports awaited;
  private final SessionThread thread;
  private final CompletableFuture<SourceOutcome> outcome = new CompletableFuture<>();

  Ending(
      Course course,
      DestinationContact contact,
      DepartingGuest guest,
      MigrationBook book,
      CancelRequests cancels,
      AwaitedReports awaited,
      SessionThread thread) {
    this.course = course;
    this.contact = contact;
    this.guest = guest;
    this.book = book;
    this.cancels = cancels;
    this.awaited = awaited;
    this.thread = thread;
  }

  CompletionStage<SourceOutcome> outcome() {
    return outcome;
  }

  /** The destination has everything. */
  void handedOver(String text) {
    course.enter(SourcePhase.HANDED_OVER, text);
    outcome.complete(new SourceOutcome(SourceOutcome.Kind.HANDED_OVER, text));
  }

  /** Gives every kind of trouble its outcome. Callable from any thread. */
  void failed(Throwable cause) {
    SourceOutcome.Kind kind =
        cause instanceof ProtocolException
            ? SourceOutcome.Kind.PEER_REFUSED
            : SourceOutcome.Kind.HOST_FAILED;
    if (!(cause instanceof IOException) && !(cause instanceof ProtocolException)) {
      log.error("a fault in Ward itself", cause);
    }
    String text = cause.getMessage() == null ? cause.toString() : cause.getMessage();
    thread.run(() -> fail(kind, text));
  }

  /** Gives up: a guest that may have run at the destination is not whole here any more. */
  void fail(SourceOutcome.Kind kind, String text) {
    if (course.isOver()) {
      return;
    }
    if (course.hasAgreed()) { // whatever goes wrong now, the guest is there, whole
      handedOver("the guest is at the destination, whole; then " + text);
      return;
    }
    boolean mayHaveRun = course.phase().mayBeReturnedTo();
    SourceOutcome.Kind last =
        mayHaveRun && kind == SourceOutcome.Kind.ABORTED ? SourceOutcome.Kind.UNFINISHED : kind;
    end(
        mayHaveRun ? SourcePhase.UNFINISHED : SourcePhase.ABORTED,
        last,
        text,
        course.whereTheGuestIs());
  }

  /**
   * The guest has not run at the destination, by the word of somebody who knows, and never will.
   */
  void takeBack(String text) {
    end(SourcePhase.ABORTED, SourceOutcome.Kind.ABORTED, text, course.wholeHere());
  }

  private void end(SourcePhase last, SourceOutcome.Kind kind, String text, String where) {
    String whole = text + "; " + where;
    course.enter(last, text);
    if (last == SourcePhase.ABORTED) {
      book.forget();
      guest.stay();
      cancels.granted(whole);
    } else {
      cancels.refused(whole);
    }
    awaited.failAll(new IOException("the migration ended first: " + text));
    contact.close();
    outcome.complete(new SourceOutcome(kind, whole));
  }
}
