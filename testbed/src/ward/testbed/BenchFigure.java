package ward.testbed;

import java.util.Arrays;
import java.util.List;
import java.util.function.ToDoubleBiFunction;

/**
 * One number that a round gives.
 *
 * @param name of its JSON field, with the unit
 * @param heading of its column
 * @param lessIsBetter otherwise more is
 */
record BenchFigure(
    String name,
    String heading,
    boolean lessIsBetter,
    ToDoubleBiFunction<BenchCase, BenchRound> of) {

  private static final int COLD_FAULTS = 1000;
  private static final double MEBIBYTE = 1 << 20;
  private static final double HUGE_PAGE_BYTES = 2 << 20;

  private static final List<BenchFigure> DEMAND =
      List.of(
          steady("p50Micros", "p50 µs", 0.5),
          steady("p90Micros", "p90 µs", 0.9),
          steady("p99Micros", "p99 µs", 0.99),
          steady("worstMicros", "worst µs", 1),
          new BenchFigure(
              "faultsPerSecond",
              "faults/s",
              false,
              (of, round) -> Samples.steady(round.touches(), of.threads()).perSecond()),
          first("firstThousandP99Micros", "1st 1000: p99", 0.99),
          first("firstThousandWorstMicros", "worst", 1));

  private static final BenchFigure STREAM =
      new BenchFigure(
          "streamMebibytesPerSecond",
          "stream MiB/s",
          false,
          (of, round) -> round.streamMebibytesPerSecond());

  private static final List<BenchFigure> POISON_MAP =
      List.of(
          new BenchFigure("mapMillis", "map ms", true, (of, round) -> round.poisonNanos() / 1e6),
          new BenchFigure(
              "askedMillis",
              "asked ms",
              true,
              (of, round) -> round.askedNanos() == 0 ? Double.NaN : round.askedNanos() / 1e6),
          new BenchFigure(
              "nanosPerEntry",
              "ns per entry",
              true,
              (of, round) -> (double) round.poisonNanos() / of.lostPages()),
          new BenchFigure(
              "bytesPerEntry",
              "bytes/entry",
              true,
              (of, round) ->
                  round.mapBytes() == 0 ? Double.NaN : (double) round.mapBytes() / of.lostPages()));

  private static final List<BenchFigure> COLLAPSE =
      List.of(
          new BenchFigure(
              "collapseMillis",
              "collapse ms",
              true,
              (of, round) -> round.collapsed().nanos() / 1e6),
          new BenchFigure(
              "microsPerHugePage",
              "µs per 2 MiB",
              true,
              (of, round) ->
                  round.collapsed().nanos()
                      / 1e3
                      / (round.collapsed().hugeBytesAfter() / HUGE_PAGE_BYTES)),
          new BenchFigure(
              "hugeMebibytesBefore",
              "MiB huge: then",
              true,
              (of, round) -> round.collapsed().hugeBytesBefore() / MEBIBYTE),
          new BenchFigure(
              "hugeMebibytesAfter",
              "now",
              false,
              (of, round) -> round.collapsed().hugeBytesAfter() / MEBIBYTE));

  /** In the order of a round of {@link PageTableBench}. */
  private static final List<BenchFigure> PAGE_TABLE =
      List.of(
          cost("bitsPerPage", "bits/page"),
          cost("residentBitsPerPage", "resident bits"),
          cost("runNanosPerPage", "run ns/page"),
          cost("inOrderNanos", "in order ns"),
          cost("randomNanos", "random ns"),
          cost("poisonClusteredNanos", "poison runs ns"),
          cost("poisonAloneNanos", "alone ns"),
          cost("walkNanosPerPage", "walk ns/page"),
          cost("walkMillis", "walk ms"));

  private static BenchFigure cost(String name, String heading) {
    return new BenchFigure(name, heading, true, (of, round) -> Double.NaN);
  }

  private static BenchFigure steady(String name, String heading, double part) {
    return new BenchFigure(
        name,
        heading,
        true,
        (of, round) -> Samples.steady(round.touches(), of.threads()).micros(part));
  }

  private static BenchFigure first(String name, String heading, double part) {
    return new BenchFigure(
        name,
        heading,
        true,
        (of, round) -> Samples.first(round.touches(), COLD_FAULTS).micros(part));
  }

  /** What a case is measured by. */
  static List<BenchFigure> of(BenchCase of) {
    return switch (of.kind()) {
      case DEMAND -> DEMAND;
      case STREAM -> List.of(STREAM);
      case POISON_MAP -> POISON_MAP;
      case COLLAPSE -> COLLAPSE;
      case PAGE_TABLE -> PAGE_TABLE;
    };
  }

  /** The middle one, or the mean of the two in the middle; NaN if there is none. */
  static double median(double... values) {
    double[] sorted = values.clone();
    Arrays.sort(sorted);
    int half = sorted.length / 2;
    if (sorted.length == 0) {
      return Double.NaN;
    }
    return sorted.length % 2 == 1 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
  }
}
