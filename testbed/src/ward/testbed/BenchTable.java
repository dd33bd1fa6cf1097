package ward.testbed;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.function.IntToDoubleFunction;
import java.util.stream.IntStream;

/** A case's medians and ratios, for people. */
final class BenchTable {

  private static final int NAME_WIDTH = 18;
  private static final int COLUMN_WIDTH = 15;

  private BenchTable() {}

  static String of(BenchResult result) {
    List<BenchFigure> figures = BenchFigure.of(result.of());
    List<String> lines = new ArrayList<>();
    lines.add(
        "%s: %s; medians of %d round%s"
            .formatted(
                result.of().name(),
                result.of().question(),
                result.rounds(),
                result.rounds() == 1 ? "" : "s"));
    StringBuilder heading = new StringBuilder(" ".repeat(NAME_WIDTH));
    figures.forEach(figure -> heading.append(padded(figure.heading())));
    lines.add(heading.toString());
    for (String side : result.sides()) {
      lines.add(line(side, figures.size(), i -> result.median(side, i)));
    }
    if (!Double.isNaN(result.ratio(0))) {
      lines.add(line(result.ratioName(), figures.size(), result::ratio));
    }
    return String.join(System.lineSeparator(), lines) + System.lineSeparator();
  }

  private static String line(String name, int count, IntToDoubleFunction value) {
    StringBuilder line = new StringBuilder(("  %-" + (NAME_WIDTH - 2) + "s").formatted(name));
    IntStream.range(0, count).forEach(i -> line.append(padded(number(value.applyAsDouble(i)))));
    return line.toString();
  }

  private static String padded(String text) {
    return ("%" + COLUMN_WIDTH + "s").formatted(text);
  }

  /** Three digits that say something, or all before the point. */
  static String number(double value) {
    if (Double.isNaN(value)) {
      return "-";
    }
    if (Math.abs(value) >= 100) {
      return String.format(Locale.ROOT, "%,.0f", value);
    }
    return String.format(Locale.ROOT, Math.abs(value) >= 10 ? "%.1f" : "%.2f", value);
  }
}
