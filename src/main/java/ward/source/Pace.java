package ward.source;

import java.util.function.LongSupplier;
import ward.memory.Pages;

/**
 * How fast the background streams of a source may be, together: a bucket of what may be sent now,
 * filled at the limit's rate. What is sent on demand, and what is said of poison, never asks here.
 * Safe for all threads.
 */
final class Pace {

  /** Saved up by a stream that could not send; the rest of what it missed is lost to it. */
  private static final double BURST_SECONDS = 0.05;

  /** A slice is so much shorter that it never holds the next word up for longer. */
  private static final double SLICE_SECONDS = 0.1;

  private static final double ROUNDING = 1e-6;

  private final LongSupplier nanos;
  private long bytesPerSecond; // 0: as fast as it goes
  private double credit; // bytes; below 0 after a slice, until its time has passed
  private long creditedAt;

  /**
   * @param nanos a clock that never goes back
   * @param bytesPerSecond 0 for no limit
   */
  Pace(LongSupplier nanos, long bytesPerSecond) {
    this.nanos = nanos;
    limit(bytesPerSecond);
  }

  /**
   * @param limit bytes; 0 for none
   */
  synchronized void limit(long limit) {
    bytesPerSecond = limit;
    credit = 0;
    creditedAt = nanos.getAsLong();
  }

  synchronized long bytesPerSecond() {
    return bytesPerSecond;
  }

  /** How many pages may go out as one slice, 1 to 512. */
  synchronized int slicePages() {
    if (bytesPerSecond == 0) {
      return Slices.PAGES_MAX;
    }
    double pages = bytesPerSecond * SLICE_SECONDS / Pages.SIZE_BYTES;
    return (int) Math.max(1, Math.min(Slices.PAGES_MAX, pages));
  }

  /** Something was sent. */
  synchronized void spend(long bytes) {
    credit -= bytes;
  }

  /** How long the next slice has to wait, in milliseconds; 0 if it need not. */
  synchronized long waitMillis() {
    if (bytesPerSecond == 0) {
      return 0;
    }
    long now = nanos.getAsLong();
    double earned = (now - creditedAt) / 1e9 * bytesPerSecond;
    credit = Math.min(credit + earned, bytesPerSecond * BURST_SECONDS);
    creditedAt = now;
    double millis = -credit * 1e3 / bytesPerSecond;
    return Math.max(0, (long) Math.ceil(millis - ROUNDING));
  }
}
