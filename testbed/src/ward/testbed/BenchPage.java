package ward.testbed;

import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.stream.Collectors;
import java.util.stream.IntStream;

/** The results as one page of HTML that needs nothing else: curves of latency, bars of rates. */
final class BenchPage {

  private static final int WIDTH = 640;
  private static final int HEIGHT = 280;
  private static final int LEFT = 60;
  private static final int BOTTOM = 30;
  private static final int BAR_HEIGHT = 18;
  private static final int BAR_WIDTH = 400;
  private static final Map<String, String> COLOURS =
      Map.of("ward", "#c0392b", "sleeping", "#2c6fbb", "spinning", "#5aa469", "receive", "#888888");

  private BenchPage() {}

  static String of(BenchHost host, Instant startedAt, List<BenchResult> results) {
    return """
        <!DOCTYPE html>
        <html lang="en"><head><meta charset="utf-8"><title>Ward beside the yardstick</title>
        <style>
        body { font: 14px/1.4 sans-serif; max-width: 60em; margin: 2em auto; color: #222 }
        table { border-collapse: collapse } td, th { padding: .1em .8em; text-align: right }
        th:first-child, td:first-child { text-align: left } tr.ratio td { border-top: 1px solid #999 }
        svg { display: block; margin: 1em 0 } text { font: 11px sans-serif }
        </style></head><body>
        <h1>Ward beside the yardstick</h1>
        <p>%s, %d CPUs, Linux %s, %s; commit %s%s; %s</p>
        %s
        </body></html>
        """
        .formatted(
            escaped(host.cpu()),
            host.cpus(),
            escaped(host.kernel()),
            escaped(host.jdk()),
            host.commit() == null ? "unknown" : escaped(host.commit()),
            host.dirty() ? " with changes" : "",
            startedAt,
            results.stream().map(BenchPage::section).collect(Collectors.joining("\n")));
  }

  static String escaped(String text) {
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;");
  }

  private static String section(BenchResult result) {
    return "<h2>%s</h2>\n<p>%s; medians of %d rounds</p>\n%s\n%s\n%s"
        .formatted(
            escaped(result.of().name()),
            escaped(result.of().question()),
            result.rounds(),
            table(result),
            result.of().kind() == BenchCase.Kind.DEMAND ? curves(result) : "",
            bars(result, barOf(result.of())));
  }

  /** The figure that is drawn. */
  private static int barOf(BenchCase of) {
    return switch (of.kind()) {
      case DEMAND -> 4;
      case PAGE_TABLE -> 3;
      case STREAM, POISON_MAP, COLLAPSE -> 0;
    };
  }

  private static String table(BenchResult result) {
    List<BenchFigure> figures = BenchFigure.of(result.of());
    StringBuilder table = new StringBuilder("<table><tr><th></th>");
    figures.forEach(figure -> table.append("<th>%s</th>".formatted(escaped(figure.heading()))));
    for (String side : result.sides()) {
      table.append("</tr>\n<tr><td>").append(escaped(side)).append("</td>");
      IntStream.range(0, figures.size()).forEach(i -> cell(table, result.median(side, i)));
    }
    table.append("</tr>\n<tr class=\"ratio\"><td>%s</td>".formatted(escaped(result.ratioName())));
    IntStream.range(0, figures.size()).forEach(i -> cell(table, result.ratio(i)));
    return table.append("</tr></table>").toString();
  }

  private static void cell(StringBuilder table, double value) {
    table.append("<td>").append(BenchTable.number(value)).append("</td>");
  }

  // --- percentile plots: both axes logarithmic, so that a tail is as long as it is rare ----------

  private static String curves(BenchResult result) {
    double worst =
        result.sides().stream()
            .flatMapToDouble(side -> Arrays.stream(result.curve(side)))
            .filter(Double::isFinite)
            .max()
            .orElse(1);
    double decades = Math.max(1, Math.ceil(Math.log10(worst)));
    List<String> parts = new ArrayList<>();
    for (int decade = 0; decade <= decades; decade++) {
      parts.add(gridLine(y(Math.pow(10, decade), decades), micros(decade)));
    }
    for (int nines = 0; nines <= 4; nines++) {
      parts.add(
          "<text x=\"%s\" y=\"%d\" text-anchor=\"middle\">%s</text>"
              .formatted(
                  number(x(1 - Math.pow(10, -nines))),
                  HEIGHT - 8,
                  nines == 0 ? "best" : label(nines)));
    }
    int line = 0;
    for (String side : result.sides()) {
      parts.add(curve(result.curve(side), colour(side), decades));
      parts.add(legend(side, line++));
    }
    return svg(HEIGHT, parts);
  }

  private static String label(int nines) {
    return "p" + "9".repeat(nines).replaceFirst("^(99)(9+)$", "$1.$2").replaceFirst("^9$", "90");
  }

  private static String micros(int decade) {
    return decade < 3
        ? "1%s µs".formatted("0".repeat(decade))
        : "1%s ms".formatted("0".repeat(decade - 3));
  }

  private static double x(double part) {
    return LEFT + -Math.log10(1 - part) / 4 * (WIDTH - LEFT - 10);
  }

  private static double y(double micros, double decades) {
    return HEIGHT - BOTTOM - Math.max(0, Math.log10(micros)) / decades * (HEIGHT - BOTTOM - 10);
  }

  private static String curve(double[] micros, String colour, double decades) {
    String points =
        IntStream.range(0, micros.length)
            .filter(i -> Double.isFinite(micros[i]))
            .mapToObj(i -> number(x(BenchCurve.PARTS[i])) + "," + number(y(micros[i], decades)))
            .collect(Collectors.joining(" "));
    return "<polyline fill=\"none\" stroke-width=\"2\" stroke=\"%s\" points=\"%s\"/>"
        .formatted(colour, points);
  }

  private static String gridLine(double y, String label) {
    return "<line x1=\"%d\" x2=\"%d\" y1=\"%s\" y2=\"%s\" stroke=\"#ddd\"/><text x=\"4\" y=\"%s\">%s</text>"
        .formatted(LEFT, WIDTH - 10, number(y), number(y), number(y + 4), label);
  }

  private static String legend(String side, int line) {
    return "<text x=\"%d\" y=\"%d\" fill=\"%s\">%s</text>"
        .formatted(LEFT + 10, 20 + 14 * line, colour(side), escaped(side));
  }

  // --- bars
  // ----------------------------------------------------------------------------------------

  private static String bars(BenchResult result, int figure) {
    double most =
        result.sides().stream()
            .mapToDouble(side -> result.median(side, figure))
            .filter(Double::isFinite)
            .max()
            .orElse(1);
    List<String> parts = new ArrayList<>();
    int line = 0;
    for (String side : result.sides()) {
      parts.add(bar(side, result.median(side, figure), most, line++));
    }
    parts.add(
        "<text x=\"%d\" y=\"%d\">%s</text>"
            .formatted(
                LEFT,
                line * (BAR_HEIGHT + 4) + 14,
                escaped(BenchFigure.of(result.of()).get(figure).heading())));
    return svg(line * (BAR_HEIGHT + 4) + 20, parts);
  }

  private static String bar(String side, double value, double most, int line) {
    int y = line * (BAR_HEIGHT + 4);
    double width = Double.isFinite(value) && most > 0 ? BAR_WIDTH * value / most : 0;
    return "<text x=\"0\" y=\"%d\">%s</text><rect x=\"%d\" y=\"%d\" width=\"%s\" height=\"%d\" fill=\"%s\"/><text x=\"%s\" y=\"%d\">%s</text>"
        .formatted(
            y + 13,
            escaped(side),
            LEFT,
            y,
            number(width),
            BAR_HEIGHT,
            colour(side),
            number(LEFT + width + 6),
            y + 13,
            BenchTable.number(value));
  }

  private static String colour(String side) {
    return COLOURS.getOrDefault(side, "#000000");
  }

  private static String svg(int height, List<String> parts) {
    return "<svg width=\"%d\" height=\"%d\">\n%s\n</svg>"
        .formatted(WIDTH, height, String.join("\n", parts));
  }

  private static String number(double value) {
    return String.format(Locale.ROOT, "%.1f", value);
  }
}
