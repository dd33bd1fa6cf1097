package ward.testbed;

import java.time.Duration;
import java.util.List;
import java.util.concurrent.TimeUnit;

/** Holds some connections until all have come, and lets them through in another order. */
final class Sluice {

  private final List<Integer> order;
  private final long endNanos;
  private int entered;
  private int left;

  /**
   * @param order which arrival goes through first, second and so on; from 0
   * @param atMost how long it holds anybody
   */
  Sluice(List<Integer> order, Duration atMost) {
    this.order = List.copyOf(order);
    this.endNanos = System.nanoTime() + atMost.toNanos();
  }

  /**
   * Returns when it is the caller's turn; at once for those who come after all that are meant.
   *
   * @return whether somebody who came later went through before
   */
  synchronized boolean pass() throws InterruptedException {
    int arrival = entered++;
    notifyAll();
    if (arrival >= order.size()) {
      return false;
    }
    int place = order.indexOf(arrival);
    boolean timeLeft = true;
    while (timeLeft && !(entered >= order.size() && left == place)) {
      timeLeft = hold();
    }
    left++;
    notifyAll();
    return left - 1 > arrival;
  }

  /** Waits for a change; false when the time is over. */
  private boolean hold() throws InterruptedException {
    long nanos = endNanos - System.nanoTime();
    if (nanos > 0) {
      TimeUnit.NANOSECONDS.timedWait(this, nanos);
    }
    return nanos > 0;
  }
}
