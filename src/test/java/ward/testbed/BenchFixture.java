package ward.testbed;

import java.time.Instant;
import ward.vcpu.TouchPlan.Touch;

/** Results that nobody had to measure. */
final class BenchFixture {

  static final BenchHost HOST = new BenchHost("A <fast> CPU", 2, "6.6", "a JDK", "1234abcd", true);
  static final Instant START = Instant.parse("2026-01-31T10:02:11Z");

  private BenchFixture() {}

  /** A round of one thread in which every touch took as long. */
  static BenchRound round(long micros) {
    Touch[] touches = new Touch[8];
    for (int i = 0; i < touches.length; i++) {
      touches[i] = new Touch(i, 1_000_000L * (i + 1), 1_000 * micros, i, false);
    }
    return new BenchRound(touches, 0, 0);
  }

  /** Ward took 10, 30 and 12 µs, the yardsticks 10 and 8. */
  static BenchResult demand() {
    BenchResult result = new BenchResult(BenchCase.demand(1, true, 4096));
    result.add("sleeping", round(10));
    result.add("spinning", round(8));
    result.add("ward", round(10));
    result.add("ward", round(30));
    result.add("ward", round(12));
    return result;
  }

  static BenchResult stream() {
    BenchCase of = BenchCase.named("stream-data", BenchCase.all(4096)).orElseThrow();
    BenchResult result = new BenchResult(of);
    result.add("sleeping", new BenchRound(new Touch[0], 1000, 0));
    result.add("receive", new BenchRound(new Touch[0], 4000, 0));
    result.add("ward", new BenchRound(new Touch[0], 2000, 0));
    return result;
  }
}
