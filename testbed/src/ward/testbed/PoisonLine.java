package ward.testbed;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** A line that a daemon writes for one memory error: keys and values, read strictly. */
record PoisonLine(Map<String, String> values) {

  private static final List<String> KEYS =
      List.of(
          "event",
          "gpa",
          "hva",
          "lsb",
          "severity",
          "host",
          "time",
          "discovery",
          "input",
          "vcpu",
          "done");

  private static final Pattern LOGGED = Pattern.compile("\\S+ INFO  ward\\.poison: (.*)");
  private static final Pattern PAIR = Pattern.compile("([a-z]+)=(\"[^\"]*\"|[^ \"]+)(?: |$)");

  /**
   * All of a log.
   *
   * @throws IllegalArgumentException if one is not as it should be
   */
  static List<PoisonLine> in(String log) {
    return log.lines()
        .map(LOGGED::matcher)
        .filter(Matcher::matches)
        .map(line -> parse(line.group(1)))
        .toList();
  }

  private static PoisonLine parse(String line) {
    Map<String, String> values = new LinkedHashMap<>();
    Matcher pair = PAIR.matcher(line);
    int end = 0;
    while (pair.find() && pair.start() == end) {
      values.put(pair.group(1), pair.group(2).replace("\"", ""));
      end = pair.end();
    }
    if (end != line.length() || !List.copyOf(values.keySet()).equals(KEYS)) {
      throw new IllegalArgumentException("not a line for a memory error: " + line);
    }
    return new PoisonLine(values);
  }

  String get(String key) {
    return values.get(key);
  }

  boolean isFor(String event) {
    return get("event").equals(event);
  }

  long guestPhysicalAddress() {
    return Long.decode(get("gpa"));
  }
}
