package ward.testbed;

import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.random.RandomGenerator;

/** The kinds of faults that chaos draws from. */
enum ChaosFaultKind {
  FLIP(10),
  RESET(10),
  RESET_ALL(8),
  CUT(8),
  STALL(8),
  LAG(4),
  OUTAGE(6),
  REORDER(8),
  FREEZE_SOURCE(8),
  FREEZE_DESTINATION(8),
  REPORT_ANY(10),
  REPORT_ASKED(6),
  REPORT_IN_FLIGHT(6),
  CLOCK_SOURCE(4),
  CLOCK_DESTINATION(4),
  DISK_SOURCE(5),
  DISK_DESTINATION(5),
  KILL_SOURCE(8),
  KILL_DESTINATION(5),
  GIVE_BACK(5);

  private static final int BITS = 8;
  private static final int STALL_MILLIS_MAX = 700;
  private static final int OUTAGE_MILLIS_MAX = 600;
  private static final int LAG_MILLIS_MAX = 12;
  private static final int LAGGING_MILLIS_MAX = 600;
  private static final int FREEZE_MILLIS_MAX = 900;
  private static final int FULL_MILLIS_MAX = 1500;
  private static final int VACANCY_MILLIS_MAX = 800;
  private static final int PAGES_GIVEN_BACK_MAX = 64;
  private static final int PAGES_REPORTED_MAX = 12;
  private static final long CLOCK_SECONDS_MAX = 400L * 24 * 3600;

  private final int weight;

  ChaosFaultKind(int weight) {
    this.weight = weight;
  }

  boolean needsRoot() {
    return this == DISK_SOURCE || this == DISK_DESTINATION;
  }

  /** How often it is drawn, in proportion to the others. */
  int weight() {
    return weight;
  }

  /**
   * What happens; how long and how much is drawn too.
   *
   * @param connections that are made next to each other, at least 2
   */
  Fault.Effect draw(RandomGenerator random, int connections) {
    return switch (this) {
      case FLIP -> new Fault.Flip(random.nextInt(BITS));
      case RESET -> new Fault.Reset();
      case RESET_ALL -> new Fault.ResetAll();
      case CUT -> new Fault.Cut();
      case STALL -> new Fault.Stall(millis(random, STALL_MILLIS_MAX));
      case LAG ->
          new ChaosAct.Lag(millis(random, LAG_MILLIS_MAX), millis(random, LAGGING_MILLIS_MAX));
      case OUTAGE -> new ChaosAct.Outage(millis(random, OUTAGE_MILLIS_MAX));
      case REORDER -> new ChaosAct.Reorder(permutation(random, connections));
      case FREEZE_SOURCE -> freeze(ChaosSide.SOURCE, random);
      case FREEZE_DESTINATION -> freeze(ChaosSide.DESTINATION, random);
      case REPORT_ANY -> report(ChaosAct.Victims.ANY, random);
      case REPORT_ASKED -> report(ChaosAct.Victims.ASKED, random);
      case REPORT_IN_FLIGHT -> report(ChaosAct.Victims.IN_FLIGHT, random);
      case CLOCK_SOURCE -> clock(ChaosSide.SOURCE, random);
      case CLOCK_DESTINATION -> clock(ChaosSide.DESTINATION, random);
      case DISK_SOURCE -> fillDisk(ChaosSide.SOURCE, random);
      case DISK_DESTINATION -> fillDisk(ChaosSide.DESTINATION, random);
      case KILL_SOURCE -> new ChaosAct.Kill(ChaosSide.SOURCE, millis(random, VACANCY_MILLIS_MAX));
      case KILL_DESTINATION ->
          new ChaosAct.Kill(ChaosSide.DESTINATION, millis(random, VACANCY_MILLIS_MAX));
      case GIVE_BACK ->
          new ChaosAct.GiveBack(1 + random.nextInt(PAGES_GIVEN_BACK_MAX), random.nextLong() >>> 1);
    };
  }

  private static Duration millis(RandomGenerator random, int max) {
    return Duration.ofMillis(1 + random.nextInt(max));
  }

  private static Fault.Effect freeze(ChaosSide side, RandomGenerator random) {
    return new ChaosAct.Freeze(side, millis(random, FREEZE_MILLIS_MAX));
  }

  private static Fault.Effect report(ChaosAct.Victims victims, RandomGenerator random) {
    return new ChaosAct.Report(
        victims, 1 + random.nextInt(PAGES_REPORTED_MAX), random.nextLong() >>> 1);
  }

  private static Fault.Effect clock(ChaosSide side, RandomGenerator random) {
    long seconds = random.nextLong(-CLOCK_SECONDS_MAX, CLOCK_SECONDS_MAX);
    return new ChaosAct.ClockStep(side, Duration.ofSeconds(seconds));
  }

  private static Fault.Effect fillDisk(ChaosSide side, RandomGenerator random) {
    return new ChaosAct.FillDisk(side, millis(random, FULL_MILLIS_MAX));
  }

  /** Never the order in which they come. */
  private static List<Integer> permutation(RandomGenerator random, int count) {
    List<Integer> order = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      order.add(random.nextInt(i + 1), i);
    }
    if (order.get(0) == 0) {
      Collections.swap(order, 0, count - 1);
    }
    return List.copyOf(order);
  }
}
