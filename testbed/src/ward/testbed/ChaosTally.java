package ward.testbed;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;

/** What all runs of chaos showed together. Safe for use by several threads. */
final class ChaosTally {

  private final Map<String, Long> injected = new TreeMap<>();
  private final List<Long> failed = new ArrayList<>();
  private long runs;
  private long breaks;
  private long givenBack;
  private long lostWithDestination;
  private long latePoisoned;
  private long lateHeld;
  private double worstWaitMillis;
  private double worstBreakMillis;
  private long runMillis;

  synchronized void add(ChaosResult result) {
    runs++;
    breaks += result.breaks();
    givenBack += result.givenBack();
    lostWithDestination += result.lostWithDestination();
    latePoisoned += result.latePoisoned();
    lateHeld += result.lateHeld();
    runMillis += result.millis();
    result.injected().forEach((name, count) -> injected.merge(name, count, Long::sum));
    if (result.breaks() > 0) {
      worstWaitMillis = Math.max(worstWaitMillis, result.worstWaitMillis());
      worstBreakMillis = Math.max(worstBreakMillis, result.worstBreakMillis());
    }
    if (!result.passed()) {
      failed.add(result.index());
    }
  }

  /**
   * What has been seen so far.
   *
   * @param failedRuns indexes
   * @param injected how often each effect really happened
   * @param breaksSurvived connections lost and made anew with nothing else lost
   * @param givenBack attempts that ended safely before the guest had run elsewhere
   * @param lostWithDestination guests that died with a destination's process that was killed
   * @param worstWaitMillis the longest that a vCPU waited for a page in a run with a break
   * @param meanRunMillis of one run, while others ran beside it
   */
  record Summary(
      long seed,
      long runs,
      long passed,
      List<Long> failedRuns,
      Map<String, Long> injected,
      long breaksSurvived,
      long givenBack,
      long lostWithDestination,
      long latePoisoned,
      long lateHeld,
      double worstWaitMillis,
      double worstBreakMillis,
      double meanRunMillis,
      double seconds) {}

  synchronized Summary summary(long seed, double seconds) {
    return new Summary(
        seed,
        runs,
        runs - failed.size(),
        List.copyOf(failed),
        new TreeMap<>(injected),
        breaks,
        givenBack,
        lostWithDestination,
        latePoisoned,
        lateHeld,
        worstWaitMillis,
        worstBreakMillis,
        runs == 0 ? 0 : (double) runMillis / runs,
        seconds);
  }

  /** A few lines for people. */
  static String text(Summary summary) {
    StringBuilder faults = new StringBuilder();
    summary
        .injected()
        .forEach((name, count) -> faults.append("  %-32s %,d%n".formatted(name, count)));
    return String.format(
        Locale.ROOT,
        "runs            %,d: %,d passed, %,d failed, in %.0f s (%.0f ms each)%n"
            + "injected%n%s"
            + "breaks          %,d survived, the longest took %.0f ms; a vCPU waited %.0f ms at most%n"
            + "given back      %,d attempts, the guest whole at the source%n"
            + "killed          %,d guests with their destination's process, the source's copy kept%n"
            + "late poison     %,d pages lost, %,d more copied before their loss%n"
            + "%s",
        summary.runs(),
        summary.passed(),
        summary.failedRuns().size(),
        summary.seconds(),
        summary.meanRunMillis(),
        faults,
        summary.breaksSurvived(),
        summary.worstBreakMillis(),
        summary.worstWaitMillis(),
        summary.givenBack(),
        summary.lostWithDestination(),
        summary.latePoisoned(),
        summary.lateHeld(),
        summary.failedRuns().isEmpty()
            ? "PASSED: nothing was lost but what was lost before"
            : "FAILED: runs " + summary.failedRuns());
  }
}
