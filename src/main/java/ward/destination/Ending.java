package ward.destination;

import java.time.Duration;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import ward.poison.LedgerException;
import ward.poison.MigrationFile;
import ward.poison.MigrationRecord;
import ward.thread.SessionThread;
import ward.wire.ControlMessage;

/**
 * Every way in which an incoming migration can end, and what is put in order then.
 *
 * <p>Confined to the session's thread, except {@link #failed}.
 */
final class Ending {

  private static final Logger log = LoggerFactory.getLogger(Ending.class);

  /**
   * Where the process ends that owns the memory, its system calls fail first. Its end says more,
   * and is heard within this time.
   */
  private static final Duration HOME_END = Duration.ofSeconds(5);

  private final Course course;
  private final SourceContact contact;
  private final StageFile stages;
  private final Cancellations cancels;
  private final SessionThread thread;
  private final boolean isMemoryForeign;
  private final CompletableFuture<DestinationOutcome> outcome = new CompletableFuture<>();
  private boolean isDisowned;

  /**
   * @param isMemoryForeign whether the memory ends with a process other than this one
   */
  Ending(
      Course course,
      SourceContact contact,
      StageFile stages,
      Cancellations cancels,
      SessionThread thread,
      boolean isMemoryForeign) {
    this.course = course;
    this.contact = contact;
    this.stages = stages;
    this.cancels = cancels;
    this.thread = thread;
    this.isMemoryForeign = isMemoryForeign;
  }

  CompletionStage<DestinationOutcome> outcome() {
    return outcome;
  }

  /** The guest is here, and the source is not needed any more. */
  void complete(DestinationOutcome.Kind kind, String text) {
    noteCompletion();
    course.ends();
    forgetThatItLeft();
    course.enter(DestinationPhase.COMPLETE, text);
    outcome.complete(new DestinationOutcome(kind, text));
  }

  /** A process that follows and finds no word of it asks the source once more. */
  private void noteCompletion() {
    try {
      stages.complete();
    } catch (LedgerException e) {
      log.warn("the migration's record says less than is true: {}", e.getMessage());
    }
  }

  /** A guest that left this host earlier is back: the record that its copy here is stale, is. */
  private void forgetThatItLeft() {
    try {
      MigrationFile file = course.arrival().journal().migrationFile();
      if (file.read().filter(record -> record.role() == MigrationRecord.Role.SOURCE).isPresent()) {
        file.remove();
      }
    } catch (LedgerException e) {
      log.warn(
          "`ward source` will refuse this ledger until it gets --new-session: {}", e.getMessage());
    }
  }

  /** Gives every kind of trouble its outcome. Callable from any thread. */
  void failed(Throwable cause) {
    DestinationOutcome failure = DestinationOutcome.of(cause);
    boolean mayBeItsEnd = isMemoryForeign && failure.kind() == DestinationOutcome.Kind.HOST_REFUSED;
    thread.later(
        () -> fail(failure.kind(), failure.text()), mayBeItsEnd ? HOME_END : Duration.ZERO);
  }

  /** Gives up: a guest that has run here is paused, any other stays at the source. */
  void fail(DestinationOutcome.Kind kind, String text) {
    if (course.isOver()) {
      return;
    }
    noteAbort();
    if (course.hasRun()) {
      pauseGuest();
      course.enter(DestinationPhase.UNFINISHED, text);
    } else {
      contact.send(new ControlMessage.Farewell(text, true));
      course.enter(DestinationPhase.ABORTED, text);
    }
    contact.hangUp();
    DestinationOutcome.Kind last =
        course.hasRun() && kind == DestinationOutcome.Kind.ABORTED
            ? DestinationOutcome.Kind.UNFINISHED
            : kind;
    cancels.end(text + course.whereTheGuestIs());
    outcome.complete(new DestinationOutcome(last, text + course.whereTheGuestIs()));
  }

  /** As an operator wants it; the guest has not run here. */
  void cancel() {
    fail(DestinationOutcome.Kind.ABORTED, cancels.text());
  }

  /** The source has said that it does not know this session. */
  void disowned() {
    isDisowned = true;
  }

  /**
   * Only if the source hears of it, or knows nothing of this session: otherwise it waits for this
   * session to return.
   */
  private void noteAbort() {
    try {
      if (!course.hasRun() && (contact.isHeard() || isDisowned)) {
        stages.aborted();
      }
    } catch (LedgerException e) {
      log.warn("the migration's record stays: {}", e.getMessage());
    }
  }

  private void pauseGuest() {
    if (course.hasGuestEnded()) {
      return;
    }
    try {
      course.arrival().guest().pause();
    } catch (RuntimeException e) {
      log.error("the guest could not be paused; its missing pages keep it waiting", e);
    }
  }

  /** Before anything was touched: whatever was found, the next process finds it again. */
  void leaveAsItIs(Exception cause) {
    DestinationOutcome failure = DestinationOutcome.of(cause);
    course.enter(DestinationPhase.ABORTED, failure.text());
    outcome.complete(
        new DestinationOutcome(
            failure.kind(), failure.text() + "; the memory and its guest are left as they are"));
  }
}
