package ward.destination;

import ward.wire.ProtocolException;

/**
 * How far an incoming migration has come: what every part of its session goes by.
 *
 * <p>Changed on the session's thread only. The phase, the arrival and the times may be read on any.
 */
final class Course {

  private final DestinationListener listener;
  private volatile DestinationPhase phase = DestinationPhase.CONNECTING;
  private volatile Arrival arrival; // null until the guest's shape is known
  private boolean hasRun;
  private long startNanos;
  private volatile long pauseNanos;
  private volatile long totalNanos;

  Course(DestinationListener listener) {
    this.listener = listener;
  }

  DestinationPhase phase() {
    return phase;
  }

  boolean is(DestinationPhase expected) {
    return phase == expected;
  }

  /** Whether nothing follows. */
  boolean isOver() {
    return phase.isLast();
  }

  /** The one place where the phase changes. */
  void enter(DestinationPhase next, String reason) {
    if (!phase.next().contains(next)) {
      throw new IllegalStateException("%s cannot follow %s (%s)".formatted(next, phase, reason));
    }
    DestinationPhase previous = phase;
    phase = next;
    listener.onPhase(previous, next, reason);
  }

  void requireMessageIn(DestinationPhase expected, String message) {
    if (phase != expected) {
      throw new ProtocolException(
          "%s in phase %s; it belongs to phase %s".formatted(message, phase, expected));
    }
  }

  /** Null before the offer. */
  Arrival arrival() {
    return arrival;
  }

  void arrives(Arrival guest) {
    arrival = guest;
  }

  /** Whether the guest has run here: it is nowhere else any more. */
  boolean hasRun() {
    return hasRun;
  }

  void runs() {
    hasRun = true;
  }

  /** Pages of the guest that are neither in place nor poisoned. */
  long unresolved() {
    return arrival.resolver().unresolved();
  }

  /** Whether the guest has run here, and has pages at the source and nowhere else. */
  boolean isSourceNeeded() {
    return hasRun && unresolved() > 0;
  }

  boolean hasGuestEnded() {
    return arrival.guest().exited().toCompletableFuture().isDone();
  }

  /** For people; continues a sentence about the end. */
  String whereTheGuestIs() {
    return hasRun
        ? "; the guest %s here, %d of its %d pages never arrived"
            .formatted(
                hasGuestEnded() ? "has ended" : "is paused",
                unresolved(),
                arrival.table().pageCount())
        : "; the guest did not run here, it is still at the source";
  }

  /** Before anything else. */
  void start() {
    startNanos = System.nanoTime();
  }

  /** The guest has been told to go on, for the first time here. */
  void pauseEnds() {
    pauseNanos = System.nanoTime() - startNanos;
  }

  /** The source is not needed any more. */
  void ends() {
    totalNanos = System.nanoTime() - startNanos;
  }

  /** Since the start, in nanoseconds; 0 before. */
  long pauseNanos() {
    return pauseNanos;
  }

  /** Since the start, in nanoseconds; 0 before. */
  long totalNanos() {
    return totalNanos;
  }
}
