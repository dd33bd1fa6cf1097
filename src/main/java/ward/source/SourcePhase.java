package ward.source;

import java.util.EnumSet;
import java.util.Set;

/**
 * Where a source is in a migration.
 *
 * <pre>
 * LISTENING --> SENDING_MAP --> MAP_APPLIED --> SERVING --> HANDING_OVER --> HANDED_OVER
 *     |              |            |   ^  |        ^  |          |                 ^
 *     |              |            |   |  v        |  v          v                 |
 *     |              |            | AWAITING_RETURN (to where the guest is) <-----+
 *     +------+-------+------------+      |
 *            v                           v
 *         ABORTED                   UNFINISHED   (and from MAP_APPLIED and SERVING)
 * </pre>
 *
 * <p>A process that goes on with a session of one that died begins in AWAITING_RETURN, after
 * LISTENING. AWAITING_RETURN ends in ABORTED only by the word of a destination that never ran the
 * guest.
 */
public enum SourcePhase {
  /** Nobody has come. The guest is here, running or paused. */
  LISTENING,
  /**
   * A destination is here; it is being told what the guest looks like and what is lost. The guest
   * is paused.
   */
  SENDING_MAP,
  /**
   * The destination has the whole poison map in place and has been told that it may run the guest.
   * It says so afterwards, so a source that hears nothing more cannot know that the guest is still
   * only here, and never runs it again.
   */
  MAP_APPLIED,
  /** The guest runs at the destination, and its pages are here until they are there. */
  SERVING,
  /**
   * The destination has everything, and proved it. Nothing here is needed any more, but it has not
   * confirmed yet that it was told so.
   */
  HANDING_OVER,
  /**
   * The connections broke after the destination may have run the guest. The guest is there, or
   * nowhere; the pages that have not arrived there are here. The same destination may come back.
   */
  AWAITING_RETURN,
  /** The destination has everything, and knows it. Nothing here is needed any more. */
  HANDED_OVER,
  /** Given up before the guest ran at the destination: it is whole, and here. */
  ABORTED,
  /** The destination left, or did not agree, after it may have run the guest: the copy is kept. */
  UNFINISHED;

  Set<SourcePhase> next() {
    return switch (this) {
      case LISTENING -> EnumSet.of(SENDING_MAP, AWAITING_RETURN, ABORTED);
      case SENDING_MAP -> EnumSet.of(MAP_APPLIED, ABORTED);
      case MAP_APPLIED -> EnumSet.of(SERVING, AWAITING_RETURN, UNFINISHED, ABORTED);
      case SERVING -> EnumSet.of(HANDING_OVER, AWAITING_RETURN, UNFINISHED);
      case HANDING_OVER -> EnumSet.of(HANDED_OVER, AWAITING_RETURN);
      case AWAITING_RETURN -> EnumSet.of(MAP_APPLIED, SERVING, HANDED_OVER, UNFINISHED, ABORTED);
      case HANDED_OVER, ABORTED, UNFINISHED -> EnumSet.noneOf(SourcePhase.class);
    };
  }

  /** Whether a destination that breaks off now may have run the guest, and may come back. */
  boolean mayBeReturnedTo() {
    return this == MAP_APPLIED
        || this == SERVING
        || this == HANDING_OVER
        || this == AWAITING_RETURN;
  }

  /** Whether nothing follows. */
  public boolean isLast() {
    return next().isEmpty();
  }
}
