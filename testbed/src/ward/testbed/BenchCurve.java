package ward.testbed;

import java.util.stream.IntStream;

/** Where a percentile plot has its points: as many in every further nine. */
final class BenchCurve {

  private static final int POINTS = 61;
  private static final double NINES = 4;

  /** From 0 to 0.9999: evenly spaced where the part above is plotted by its logarithm. */
  static final double[] PARTS =
      IntStream.range(0, POINTS).mapToDouble(i -> 1 - Math.pow(10, -nines(i))).toArray();

  private BenchCurve() {}

  private static double nines(int point) {
    return NINES * point / (POINTS - 1);
  }
}
