package ward.destination;

import java.util.EnumSet;
import java.util.Set;

/**
 * Where a destination is in a migration.
 *
 * <pre>
 * CONNECTING --> RECEIVING_MAP --> RUNNING --> HANDING_OVER --> COMPLETE
 *      |             |   ^            |  ^           |             ^
 *      +------+------+   |            |  |           |             | every page that is missing
 *             v          |            v  v           v             | is poison by policy
 *          ABORTED <-----+--------- RECOVERING <-----+-------------+
 *                                     |
 *             UNFINISHED <------------+  (and from RUNNING and HANDING_OVER)
 * </pre>
 *
 * <p>CONNECTING goes to RECOVERING if a process before this one has died in the middle, and the
 * guest's memory, which belongs to another process, is still there. RECOVERING goes back to
 * RECEIVING_MAP if the guest has not run here, and to RUNNING if it has.
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
  /**
   * The connections broke after the poison map was applied; new ones are being made. The guest is
   * where it was: if it ran here, it runs, and its vCPUs wait for pages that are missing. Which
   * pages are here does not change; the source owns the others.
   */
  RECOVERING,
  /**
   * The source has let go, or is lost and so is what it had. The guest is here, whole but for what
   * is lost.
   */
  COMPLETE,
  /**
   * Given up before the guest ran here: the guest is at the source, untouched. Or before this
   * process took over a guest that was here: it is left as it is.
   */
  ABORTED,
  /** The source left, or broke the protocol, while pages were missing. The guest is paused here. */
  UNFINISHED;

  Set<DestinationPhase> next() {
    return switch (this) {
      case CONNECTING -> EnumSet.of(RECEIVING_MAP, RECOVERING, ABORTED);
      case RECEIVING_MAP -> EnumSet.of(RUNNING, RECOVERING, ABORTED);
      case RUNNING -> EnumSet.of(HANDING_OVER, RECOVERING, UNFINISHED);
      case HANDING_OVER -> EnumSet.of(COMPLETE, RECOVERING, UNFINISHED);
      case RECOVERING -> EnumSet.of(RECEIVING_MAP, RUNNING, COMPLETE, UNFINISHED, ABORTED);
      case COMPLETE, ABORTED, UNFINISHED -> EnumSet.noneOf(DestinationPhase.class);
    };
  }

  /** Whether nothing follows. */
  public boolean isLast() {
    return next().isEmpty();
  }
}
