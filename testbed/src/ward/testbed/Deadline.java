package ward.testbed;

import java.io.IOException;
import java.time.Duration;

/** A moment after which waiting is an error. */
final class Deadline {

  private static final long POLL_MILLIS = 10;

  /** Something to wait for. */
  interface Condition {
    boolean holds() throws IOException;
  }

  /** Something without which waiting is in vain. */
  interface Watch {
    void check() throws IOException;
  }

  private final long endNanos;
  private Watch watch = () -> {};

  Deadline(Duration left) {
    this.endNanos = System.nanoTime() + left.toNanos();
  }

  /**
   * @param what is checked again and again while something is awaited; what it throws ends that
   */
  void watch(Watch what) {
    watch = what;
  }

  long millisLeft() {
    return Math.max(0, (endNanos - System.nanoTime()) / 1_000_000);
  }

  /**
   * @throws IOException naming what was waited for, or from the {@link Watch}
   */
  void await(String what, Condition condition) throws IOException {
    while (!condition.holds()) {
      watch.check();
      if (millisLeft() == 0) {
        throw new IOException("waited too long for " + what);
      }
      pause();
    }
  }

  private static void pause() throws IOException {
    try {
      Thread.sleep(POLL_MILLIS);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IOException("interrupted", e);
    }
  }
}
