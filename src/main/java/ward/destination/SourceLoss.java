package ward.destination;

import java.time.Duration;

/**
 * What becomes of a guest whose source cannot be reached.
 *
 * @param after how long the source is tried for before it is taken for lost; with {@link
 *     Policy#WAIT} only where the guest has not run here, which is then given up, and where it has
 *     all of its pages
 */
public record SourceLoss(Policy policy, Duration after) {

  public enum Policy {
    /** The guest runs; what needs a missing page waits until the source is back. */
    WAIT,
    /** The guest is paused, and what arrived of it stays visible. */
    PAUSE,
    /** Every page that never arrived is lost for good; the guest runs on. */
    POISON
  }

  /** The first broken connection is the end. */
  public static final SourceLoss PAUSE_AT_ONCE = new SourceLoss(Policy.PAUSE, Duration.ZERO);

  public SourceLoss {
    if (after.isNegative()) {
      throw new IllegalArgumentException("a source lost after %s; 0 or more".formatted(after));
    }
  }

  boolean isAtOnce() {
    return policy == Policy.PAUSE && after.isZero();
  }

  /**
   * Whether the source is lost.
   *
   * @param brokenNanos since it could be reached last
   * @param needed whether a guest that ran here has pages there and nowhere else
   */
  boolean isReached(long brokenNanos, boolean needed) {
    return (policy != Policy.WAIT || !needed) && brokenNanos >= after.toNanos();
  }
}
