package ward.testbed;

import java.util.List;
import java.util.Map;

/**
 * What one run of chaos showed.
 *
 * @param index of the run among those of its invocation's seed
 * @param injected how often each effect really happened
 * @param breaks that the destination survived after the guest had begun to run there, or before
 * @param givenBack attempts that ended early and safely: the guest stayed at the source, whole
 * @param lostWithDestination guests that died with a destination's process that was killed
 * @param latePoisoned pages lost late that the guest lost
 * @param lateHeld pages lost late that it had already
 * @param worstWaitMillis the longest that a vCPU waited for one page
 * @param worstBreakMillis the longest time without a source
 * @param failures why it is not as it should be, a line each; empty if it is
 */
record ChaosResult(
    long index,
    Map<String, Long> injected,
    long breaks,
    long givenBack,
    long lostWithDestination,
    long latePoisoned,
    long lateHeld,
    double worstWaitMillis,
    double worstBreakMillis,
    long millis,
    List<String> failures) {

  boolean passed() {
    return failures.isEmpty();
  }
}
