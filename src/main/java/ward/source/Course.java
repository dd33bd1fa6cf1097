package ward.source;

import ward.wire.ProtocolException;

/**
 * How far an outgoing migration has come: what every part of its session goes by.
 *
 * <p>Changed on the session's thread only. The phase may be read on any.
 */
final class Course {

  private static final String WHOLE_HERE =
      "the guest never ran at the destination, it is whole here";

  private final SourceListener listener;
  private volatile SourcePhase phase = SourcePhase.LISTENING;
  private SourcePhase interrupted; // what a break interrupted
  private boolean beganElsewhere; // in a process that died

  Course(SourceListener listener) {
    this.listener = listener;
  }

  SourcePhase phase() {
    return phase;
  }

  boolean is(SourcePhase expected) {
    return phase == expected;
  }

  /** Whether nothing follows. */
  boolean isOver() {
    return phase.isLast();
  }

  /** The phase, or during a break the one that it interrupted. */
  SourcePhase beforeAnyBreak() {
    return phase == SourcePhase.AWAITING_RETURN ? interrupted : phase;
  }

  /** The one place where the phase changes. */
  void enter(SourcePhase next, String reason) {
    if (!phase.next().contains(next)) {
      throw new IllegalStateException("%s cannot follow %s (%s)".formatted(next, phase, reason));
    }
    SourcePhase previous = phase;
    phase = next;
    listener.onPhase(previous, next, reason);
  }

  /** The connections broke. */
  void breakOff(String reason) {
    interrupted = phase;
    enter(SourcePhase.AWAITING_RETURN, reason);
  }

  /** Goes on with a session of a process that died: its connections broke with it. */
  void goOn(String reason) {
    beganElsewhere = true;
    interrupted = SourcePhase.MAP_APPLIED;
    enter(SourcePhase.AWAITING_RETURN, reason);
  }

  void requireMessageIn(SourcePhase expected, String message) {
    if (phase != expected) {
      throw new ProtocolException(
          "%s in phase %s; it belongs to phase %s".formatted(message, phase, expected));
    }
  }

  /** Whether the destination has proved that it needs nothing more from here. */
  boolean hasAgreed() {
    return beforeAnyBreak() == SourcePhase.HANDING_OVER;
  }

  /** For people. */
  String whereTheGuestIs() {
    return switch (beforeAnyBreak()) {
      case SERVING ->
          "the guest ran at the destination, which may need this copy: keep it, and do not start the guest here";
      case MAP_APPLIED ->
          "the guest may have run at the destination: start it here only if the destination says that it never ran";
      default -> wholeHere();
    };
  }

  /** For people, once it is certain. */
  String wholeHere() {
    return beganElsewhere
        ? WHOLE_HERE + ", but for what its vCPUs held in the process that died"
        : WHOLE_HERE;
  }
}
