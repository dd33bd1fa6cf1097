package ward.testing;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Prometheus's text format, read as strictly as it is written, together with what its naming
 * conventions ask for: a family's help, its type, its samples, all in one place; counters end with
 * {@code _total}, nothing else does; base units.
 *
 * @see <a href="https://prometheus.io/docs/instrumenting/exposition_formats/">Prometheus,
 *     exposition formats, version 0.0.4</a>
 */
public final class ExpositionText {

  private static final Pattern HELP = Pattern.compile("# HELP ([a-z][a-z0-9_]*) (\\S.*\\.)");
  private static final Pattern TYPE =
      Pattern.compile("# TYPE ([a-z][a-z0-9_]*) (counter|gauge|histogram)");
  private static final Pattern SAMPLE = Pattern.compile("([a-z][a-z0-9_]*)(?:\\{(.*)})? (\\S+)");
  private static final Pattern LABEL =
      Pattern.compile("([a-z][a-z0-9_]*)=\"((?:[^\"\\\\\\n]|\\\\[\\\\\"n])*)\"(,|$)");
  private static final Pattern OTHER_UNIT =
      Pattern.compile(
          "_(millis|micros|nanos|milliseconds|ms|us|ns|minutes|kib|mib|kb|mb|percent)(_|$)");

  private final Map<String, Double> samples = new LinkedHashMap<>();
  private final Map<String, String> types = new LinkedHashMap<>();
  private final Set<String> helped = new HashSet<>();
  private String family = "";

  private ExpositionText() {}

  /**
   * @throws AssertionError naming the line, for whatever is not as it should be
   */
  public static ExpositionText parse(String text) {
    assertThat(text).endsWith("\n");
    ExpositionText parsed = new ExpositionText();
    text.lines().forEach(parsed::line);
    parsed.requireComplete();
    return parsed;
  }

  private void line(String line) {
    Matcher help = HELP.matcher(line);
    Matcher type = TYPE.matcher(line);
    Matcher sample = SAMPLE.matcher(line);
    if (help.matches()) {
      family = help.group(1);
      assertThat(helped.add(family)).as("the second help: " + line).isTrue();
    } else if (type.matches()) {
      assertThat(type.group(1)).as("a type without its help before: " + line).isEqualTo(family);
      assertThat(types.put(family, type.group(2))).as("the second type: " + line).isNull();
    } else {
      assertThat(sample.matches()).as("neither help, type nor sample: " + line).isTrue();
      sample(line, sample.group(1), sample.group(2), sample.group(3));
    }
  }

  private void sample(String line, String name, String labels, String value) {
    assertThat(types).as("a sample without a type: " + line).containsKey(family);
    if (types.get(family).equals("histogram")) {
      assertThat(name).as(line).isIn(family + "_bucket", family + "_sum", family + "_count");
    } else {
      assertThat(name).as("a sample of another family: " + line).isEqualTo(family);
    }
    String key = name + labels(line, labels);
    assertThat(samples.put(key, number(value))).as("the second time: " + line).isNull();
  }

  private static Map<String, String> labels(String line, String text) {
    Map<String, String> labels = new TreeMap<>();
    if (text != null) {
      Matcher label = LABEL.matcher(text);
      int end = 0;
      while (label.find() && label.start() == end) {
        assertThat(labels.put(label.group(1), label.group(2))).as(line).isNull();
        end = label.end();
      }
      assertThat(end).as("labels up to their end: " + line).isEqualTo(text.length());
    }
    return labels;
  }

  private static double number(String text) {
    return text.equals("+Inf") ? Double.POSITIVE_INFINITY : Double.parseDouble(text);
  }

  private void requireComplete() {
    assertThat(types.keySet()).isEqualTo(helped);
    types.forEach(
        (name, type) -> {
          assertThat(name).startsWith("ward_");
          assertThat(name.endsWith("_total")).as(name).isEqualTo(type.equals("counter"));
          assertThat(OTHER_UNIT.matcher(name).find()).as("base units: " + name).isFalse();
          if (type.equals("histogram")) {
            requireBuckets(name);
          }
        });
  }

  private void requireBuckets(String name) {
    List<Double> bounds = new ArrayList<>();
    List<Double> counts = new ArrayList<>();
    samples.forEach(
        (key, value) -> {
          if (key.startsWith(name + "_bucket{le=")) {
            bounds.add(number(key.substring(key.indexOf('=') + 1, key.length() - 1)));
            counts.add(value);
          }
        });
    assertThat(bounds)
        .as(name)
        .isSorted()
        .doesNotHaveDuplicates()
        .endsWith(Double.POSITIVE_INFINITY);
    assertThat(counts).as(name).isSorted().endsWith(value(name + "_count"));
    assertThat(value(name + "_sum")).as(name).isNotNegative();
  }

  /** The value of a sample without labels. */
  public double value(String name) {
    return value(name, Map.of());
  }

  /** The value of a sample with these labels and no others. */
  public double value(String name, Map<String, String> labels) {
    String key = name + new TreeMap<>(labels);
    assertThat(samples).containsKey(key);
    return samples.get(key);
  }

  /** The sum of all samples of a name, over all labels. */
  public double sum(String name) {
    return samples.entrySet().stream()
        .filter(sample -> sample.getKey().startsWith(name + "{"))
        .mapToDouble(Map.Entry::getValue)
        .sum();
  }

  /** The families, each with its type. */
  public Map<String, String> types() {
    return types;
  }
}
