package ward.testing;

import java.util.Set;
import java.util.TreeSet;

/** How many tests of one device ran, and why the others did not. */
final class DeviceCount {

  private final Set<String> reasons = new TreeSet<>();
  private int run;
  private int skipped;

  synchronized void run() {
    run++;
  }

  synchronized void skipped(String reason) {
    skipped++;
    reasons.add(reason);
  }

  synchronized boolean isAny() {
    return run + skipped > 0;
  }

  @Override
  public synchronized String toString() {
    String count = "%d run, %d skipped".formatted(run, skipped);
    return reasons.isEmpty() ? count : count + " (" + String.join("; ", reasons) + ")";
  }
}
