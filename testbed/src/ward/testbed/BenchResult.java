package ward.testbed;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.DoubleStream;
import ward.vcpu.TouchPlan.Touch;

/** What all sides did in all rounds of one case. */
final class BenchResult {

  static final String WARD = "ward";

  /** The loopback's limit is no yardstick of its own. */
  private static final String RECEIVE = "receive";

  private final BenchCase of;
  private final Map<String, List<double[]>> figures = new LinkedHashMap<>();
  private final Map<String, List<double[]>> curves = new LinkedHashMap<>();

  BenchResult(BenchCase of) {
    this.of = of;
  }

  BenchCase of() {
    return of;
  }

  /** The touches themselves are not kept: millions of them. */
  void add(String side, BenchRound round) {
    double[] values =
        BenchFigure.of(of).stream()
            .mapToDouble(figure -> figure.of().applyAsDouble(of, round))
            .toArray();
    add(side, values);
    if (of.kind() == BenchCase.Kind.DEMAND) {
      curves.computeIfAbsent(side, name -> new ArrayList<>()).add(curve(round.touches()));
    }
  }

  /** A round that has its figures by itself, in the order of {@link BenchFigure#of}. */
  void add(String side, double... values) {
    figures.computeIfAbsent(side, name -> new ArrayList<>()).add(values);
  }

  /** Whose figures are divided by the others'. */
  private String subject() {
    return of.kind() == BenchCase.Kind.PAGE_TABLE ? PageTableBench.LARGE : WARD;
  }

  /** What the ratios are. */
  String ratioName() {
    return of.kind() == BenchCase.Kind.PAGE_TABLE ? "12 TiB/1 GiB" : "ward/yardstick";
  }

  private double[] curve(Touch[] touches) {
    Samples steady = Samples.steady(touches, of.threads());
    return Arrays.stream(BenchCurve.PARTS).map(steady::micros).toArray();
  }

  List<String> sides() {
    return List.copyOf(figures.keySet());
  }

  int rounds() {
    return figures.values().stream().mapToInt(List::size).max().orElse(0);
  }

  /** One figure of one side, round by round. */
  double[] values(String side, int figure) {
    return figures.get(side).stream().mapToDouble(values -> values[figure]).toArray();
  }

  double median(String side, int figure) {
    return BenchFigure.median(values(side, figure));
  }

  /** The median of all rounds at each of {@link BenchCurve#PARTS}; empty where nothing waited. */
  double[] curve(String side) {
    List<double[]> rounds = curves.getOrDefault(side, List.of());
    return rounds.isEmpty()
        ? new double[0]
        : DoubleStream.iterate(0, i -> i < BenchCurve.PARTS.length, i -> i + 1)
            .map(i -> BenchFigure.median(at(rounds, (int) i)))
            .toArray();
  }

  private static double[] at(List<double[]> rounds, int index) {
    return rounds.stream().mapToDouble(round -> round[index]).toArray();
  }

  /** The better of the yardstick's variants in one figure; NaN if none took part. */
  double yardstick(int figure) {
    boolean less = BenchFigure.of(of).get(figure).lessIsBetter();
    DoubleStream medians =
        sides().stream()
            .filter(side -> !side.equals(subject()) && !side.equals(RECEIVE))
            .mapToDouble(side -> median(side, figure));
    return (less ? medians.min() : medians.max()).orElse(Double.NaN);
  }

  /** Ward's median divided by the yardstick's; NaN if one of them is missing. */
  double ratio(int figure) {
    return figures.containsKey(subject())
        ? median(subject(), figure) / yardstick(figure)
        : Double.NaN;
  }
}
