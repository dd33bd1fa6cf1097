package ward.testbed;

import java.io.IOException;
import java.time.Duration;
import java.util.List;

/** One case: all sides in turn, several times. */
record BenchRun(BenchCase of, List<BenchSide> sides, long seed, Duration limit) {

  /**
   * @param report gets every sample; null if nobody wants them
   * @throws IOException naming the round and side that was wrong or could not be run
   */
  BenchResult run(int rounds, BenchReport report) throws IOException {
    BenchResult result = new BenchResult(of);
    try (BenchGround ground = new BenchGround(of, seed, limit)) {
      for (int round = 1; round <= rounds; round++) {
        for (BenchSide side : sides) {
          if (side.takesPart(of.kind())) {
            BenchRound what = run(side, ground, round);
            result.add(side.name(), what);
            if (report != null) {
              report.keep(of, round, side.name(), what);
            }
          }
        }
      }
    }
    return result;
  }

  private BenchRound run(BenchSide side, BenchGround ground, int round) throws IOException {
    try {
      return side.run(ground);
    } catch (IOException e) {
      throw new IOException(
          "%s, round %d, %s: %s".formatted(of.name(), round, side.name(), e.getMessage()), e);
    }
  }
}
