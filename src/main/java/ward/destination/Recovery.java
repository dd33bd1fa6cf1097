package ward.destination;

import java.io.IOException;
import java.time.Duration;
import java.util.SplittableRandom;
import java.util.concurrent.TimeUnit;
import java.util.function.BooleanSupplier;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import ward.poison.LedgerException;
import ward.thread.SessionThread;
import ward.wire.ConnectionKind;
import ward.wire.ControlMessage.Refusal;
import ward.wire.PeerRefusedException;
import ward.wire.ProtocolException;

/**
 * From a broken connection to the next ones that serve, or to the loss of the source: what a break
 * means, dialling again, and for how long. What the two sides then tell each other is {@link
 * Exchange}'s.
 *
 * <p>Confined to the session's thread.
 */
final class Recovery {

  private static final Logger log = LoggerFactory.getLogger(Recovery.class);

  private final SourceLoss policy;
  private final Course course;
  private final SourceContact contact;
  private final Ending ending;
  private final LostSource lostSource;
  private final StageFile stages;
  private final SessionThread thread;
  private final DestinationListener listener;
  private final BooleanSupplier isMapApplied;
  private final Backoff backoff = new Backoff(new SplittableRandom());
  private DestinationPhase interrupted; // what a break interrupted, and recovery goes back to
  private long brokenNanos;

  /**
   * @param isMapApplied whether the session has come far enough to outlive its connections
   */
  Recovery(
      SourceLoss policy,
      Course course,
      SourceContact contact,
      Ending ending,
      LostSource lostSource,
      StageFile stages,
      SessionThread thread,
      DestinationListener listener,
      BooleanSupplier isMapApplied) {
    this.policy = policy;
    this.course = course;
    this.contact = contact;
    this.ending = ending;
    this.lostSource = lostSource;
    this.stages = stages;
    this.thread = thread;
    this.listener = listener;
    this.isMapApplied = isMapApplied;
  }

  // --- what a break means ----------------------------------------------------------------------

  void onBroken(ConnectionKind kind, String text, Throwable cause) throws IOException {
    if (cause instanceof PeerRefusedException refused) {
      onRefused(kind, text, refused.refusal().code());
    } else if (cause instanceof ProtocolException && !isStrangerAnswering()) {
      ending.fail(DestinationOutcome.Kind.PEER_REFUSED, text);
    } else {
      recoverIfPossible(text);
    }
  }

  /**
   * A source that has not noticed the break, that has noticed it first, or that was started anew,
   * may take us later; and while nobody has proven to be the source, any refusal may be somebody
   * else's.
   */
  private void onRefused(ConnectionKind kind, String text, Refusal.Code code) throws IOException {
    boolean unknown = code == Refusal.Code.NO_SESSION;
    boolean recovering = course.is(DestinationPhase.RECOVERING);
    if (recovering && kind == ConnectionKind.CONTROL && unknown && !course.isSourceNeeded()) {
      ending.disowned();
      lostSource.because(text); // it has taken its guest back, or it has let go and ended
    } else if (unknown || isStrangerAnswering()) {
      recoverIfPossible(text);
    } else {
      ending.fail(DestinationOutcome.Kind.PEER_REFUSED, text);
    }
  }

  /** Whether nobody has proven yet, since the break, that it serves the guest. */
  boolean isStrangerAnswering() {
    return course.is(DestinationPhase.RECOVERING) && !contact.present().isProven();
  }

  private void recoverIfPossible(String text) {
    if (isMapApplied.getAsBoolean() && !policy.isAtOnce()) {
      recover(text);
    } else {
      ending.fail(DestinationOutcome.Kind.ABORTED, text);
    }
  }

  /** All connections go; the guest runs on as far as its pages reach. */
  void recover(String text) {
    if (course.is(DestinationPhase.RECOVERING)) {
      listener.trouble("the source cannot be reached: " + text);
    } else {
      begin(course.phase(), text);
      giveUpWhenLost();
    }
    contact.requests().close();
    Connections ended = contact.present();
    ended.end().thenRun(() -> thread.run(() -> dialAgain(ended)));
  }

  private void begin(DestinationPhase from, String text) {
    interrupted = from;
    brokenNanos = System.nanoTime();
    course.enter(DestinationPhase.RECOVERING, text);
  }

  // --- a session that another process has left -------------------------------------------------

  /** Nobody has been dialled yet; {@link #goOn} does it. */
  void inherit(String text) {
    begin(DestinationPhase.RECEIVING_MAP, text);
  }

  void goOn(int attempt) {
    giveUpWhenLost();
    dialIfStillBroken(attempt);
  }

  // --- dialling again --------------------------------------------------------------------------

  private void dialAgain(Connections ended) throws IOException {
    if (!course.is(DestinationPhase.RECOVERING) || contact.present() != ended) {
      return;
    }
    if (isSourceLost()) {
      lostSource.after(brokenForNanos());
    } else {
      dialLater(ended.attempt() + 1);
    }
  }

  private void dialLater(int attempt) {
    thread.later(() -> dialIfStillBroken(attempt), Duration.ofMillis(backoff.nextMillis()));
  }

  private void dialIfStillBroken(int attempt) {
    if (!course.is(DestinationPhase.RECOVERING) || contact.attempt() >= attempt) {
      return;
    }
    try {
      stages.attempt(attempt);
      contact.dial(attempt);
    } catch (LedgerException e) { // the guest need not stop for it
      log.warn("the next attempt waits for the disk: {}", e.getMessage());
      dialLater(attempt);
    }
  }

  /** An operator does not want to wait, for what was in the way is gone. */
  void dialAtOnce() {
    backoff.reset();
    dialNow();
  }

  /** Once the connections that there are have been given up. */
  void dialNow() {
    Connections old = contact.present();
    old.end().thenRun(() -> thread.run(() -> dialAfter(old)));
  }

  private void dialAfter(Connections old) {
    if (contact.present() == old) {
      dialIfStillBroken(old.attempt() + 1);
    }
  }

  // --- giving up -------------------------------------------------------------------------------

  /** Also a source that takes connections and says nothing is lost when its time is over. */
  private void giveUpWhenLost() {
    long since = brokenNanos;
    thread.later(() -> giveUpIfLost(since), policy.after());
  }

  private void giveUpIfLost(long since) throws IOException {
    if (course.is(DestinationPhase.RECOVERING) && brokenNanos == since && isSourceLost()) {
      contact.hangUp();
      lostSource.after(brokenForNanos());
    }
  }

  private boolean isSourceLost() {
    return policy.isReached(brokenForNanos(), course.isSourceNeeded());
  }

  private long brokenForNanos() {
    return System.nanoTime() - brokenNanos;
  }

  // --- the end of a break ----------------------------------------------------------------------

  /** Both sides agree on every page again. */
  void onAccepted() {
    course.requireMessageIn(DestinationPhase.RECOVERING, "RecoveryAccepted");
    long nanos = brokenForNanos();
    backoff.reset();
    // What was handed over is handed over again: the source may not have heard it.
    course.enter(
        course.hasRun() ? DestinationPhase.RUNNING : interrupted,
        "reconnected after %d ms".formatted(TimeUnit.NANOSECONDS.toMillis(nanos)));
    listener.recovered(nanos);
    contact.connectForPages();
  }
}
