package ward.source;

import java.util.EnumSet;
import java.util.Set;

/**
 * Where a source is in a migration.
 *
 * <pre>
 * LISTENING --> SENDING_MAP --> MAP_APPLIED --> SERVING --> HANDED_OVER
 *     |              |               |             |
 *     +------+-------+               +------+------+
 *            v                              v
 *         ABORTED                      UNFINISHED
 * </pre>
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
  /** The destination has everything, and proved it. Nothing here is needed any more. */
  HANDED_OVER,
  /** Given up before the guest ran at the destination: it is whole, and here. */
  ABORTED,
  /** The destination left, or did not agree, after it may have run the guest: the copy is kept. */
  UNFINISHED;

  Set<SourcePhase> next() {
    return switch (this) {
      case LISTENING -> EnumSet.of(SENDING_MAP, ABORTED);
      case SENDING_MAP -> EnumSet.of(MAP_APPLIED, ABORTED);
      case MAP_APPLIED -> EnumSet.of(SERVING, UNFINISHED);
      case SERVING -> EnumSet.of(HANDED_OVER, UNFINISHED);
      case HANDED_OVER, ABORTED, UNFINISHED -> EnumSet.noneOf(SourcePhase.class);
    };
  }

  /** Whether nothing follows. */
  public boolean isLast() {
    return next().isEmpty();
  }
}
