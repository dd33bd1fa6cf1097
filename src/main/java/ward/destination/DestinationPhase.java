package ward.destination;

import java.util.EnumSet;
import java.util.Set;

/**
 * Where a destination is in a migration.
 *
 * <pre>
 * CONNECTING --> RECEIVING_MAP --> RUNNING --> HANDING_OVER --> COMPLETE
 *      |               |              |              |
 *      +-------+-------+              +------+-------+
 *              v                             v
 *           ABORTED                      UNFINISHED
 * </pre>
 */
public enum DestinationPhase {
  /** Versions and the guest's shape are being agreed. The guest is at the source, paused. */
  CONNECTING,
  /** Memory is registered and empty; poison is being put in place. The guest is at the source. */
  RECEIVING_MAP,
  /** The guest runs here; pages come on demand and in the background. */
  RUNNING,
  /** No page is missing; the source has not confirmed yet. The guest runs here. */
  HANDING_OVER,
  /** The source has let go. The guest is here, whole but for what was lost before. */
  COMPLETE,
  /** Given up before the guest ran here. The guest is at the source, untouched. */
  ABORTED,
  /** The source left, or broke the protocol, while pages were missing. The guest is paused here. */
  UNFINISHED;

  Set<DestinationPhase> next() {
    return switch (this) {
      case CONNECTING -> EnumSet.of(RECEIVING_MAP, ABORTED);
      case RECEIVING_MAP -> EnumSet.of(RUNNING, ABORTED);
      case RUNNING -> EnumSet.of(HANDING_OVER, UNFINISHED);
      case HANDING_OVER -> EnumSet.of(COMPLETE, UNFINISHED);
      case COMPLETE, ABORTED, UNFINISHED -> EnumSet.noneOf(DestinationPhase.class);
    };
  }

  /** Whether nothing follows. */
  public boolean isLast() {
    return next().isEmpty();
  }
}
