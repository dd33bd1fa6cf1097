package ward.cli;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.util.ArrayList;
import java.util.List;

/** A daemon's status for people. What a daemon of another version does not say is left out. */
final class StatusText {

  private static final ObjectMapper JSON = new ObjectMapper();

  private final JsonNode status;
  private final String role;
  private final List<String> lines = new ArrayList<>();

  private StatusText(JsonNode status) {
    this.status = status;
    this.role = status.path("role").asText();
  }

  /** Some aligned lines. */
  static List<String> lines(String json) {
    StatusText text = new StatusText(read(json));
    text.write();
    return text.lines;
  }

  /** The same in one line, without what changes by the passing of time alone. */
  static String line(String json) {
    StatusText text = new StatusText(read(json));
    return text.isSource() ? text.sourceLine() : text.destinationLine();
  }

  static String phase(String json) {
    return read(json).path("phase").asText();
  }

  /** Whether the migration has ended. */
  static boolean isLast(String json) {
    JsonNode status = read(json);
    return PhaseMeaning.isLast(status.path("role").asText(), status.path("phase").asText());
  }

  private static JsonNode read(String json) {
    try {
      return JSON.readTree(json);
    } catch (JsonProcessingException e) {
      throw new CommandFailure(
          ExitCode.PEER_REFUSED, "the daemon's status is no JSON object: " + e.getMessage());
    }
  }

  private boolean isSource() {
    return role.equals("source");
  }

  private long number(String... path) {
    return at(path).asLong();
  }

  private JsonNode at(String... path) {
    JsonNode node = status;
    for (String name : path) {
      node = node.path(name);
    }
    return node;
  }

  private void write() {
    String phase = status.path("phase").asText();
    line("role", role);
    String cancelling = status.path("cancelling").asBoolean() ? " (being cancelled)" : "";
    line("phase", "%s%s: %s".formatted(phase, cancelling, PhaseMeaning.of(role, phase)));
    line("guest", isSource() ? guestAtSource() : guestAtDestination());
    line("peer", peer());
    if (isSource()) {
      writeSource();
    } else {
      writeDestination();
    }
    if (at("onward").isObject()) {
      String onward = at("onward", "phase").asText();
      line("onward", "%s: %s".formatted(onward, PhaseMeaning.of("source", onward)));
    }
    line("last error", lastError());
  }

  private void line(String name, String text) {
    lines.add("%-11s %s".formatted(name, text));
  }

  private String guestAtSource() {
    return "%s here, %,d machine checks so far"
        .formatted(status.path("guest").asText(), number("machineChecksInjected"));
  }

  private String guestAtDestination() {
    String name = at("pages", "guest").asText();
    return name.isEmpty()
        ? "not known yet"
        : "%s, by %s%s, %,d machine checks, %,d announced"
            .formatted(
                name,
                status.path("vcpu").asText(),
                status.path("guestEnded").asBoolean() ? ", ended" : "",
                number("machineChecksInjected"),
                number("announcedPages"));
  }

  private String peer() {
    String host = at("peer", "host").asText();
    String address = at("peer", "address").asText();
    if (address.isEmpty()) {
      return "none yet; listening on %s:%d"
          .formatted(status.path("listening").asText(), number("port"));
    }
    return "%s%s, session %s, attempt %d"
        .formatted(
            host.isEmpty() ? "" : host + " at ",
            address,
            status.path("session").asText(),
            number("attempt"));
  }

  private void writeSource() {
    line(
        "pages",
        "%,d in all; sent %,d on demand, %,d with data and %,d zero in the background"
            .formatted(
                number("pagesTotal"),
                number("answered"),
                number("streamedData"),
                number("streamedZero")));
    line(
        "poison",
        "%,d pages lost; %,d found and %,d reported while serving, %,d held"
            .formatted(
                number("pagesLost"),
                number("foundUnreadable"),
                number("reported"),
                number("pagesHeld")));
    long limit = number("streamLimit");
    line("stream", limit == 0 ? "no limit" : "at most %,d bytes a second".formatted(limit));
    line("breaks", "%,d".formatted(number("breaks")));
  }

  private void writeDestination() {
    line("pages", pages());
    line(
        "poison",
        "%,d pages, %,d of them late; %,d held, %,d met here first"
            .formatted(
                number("pages", "pagesPoisoned"),
                number("latePoisonedPages"),
                number("heldPages"),
                number("freshlyConsumed")));
    line("waiting", waiting());
    line(
        "breaks",
        "%,d, %,.0f ms in all, %,.0f ms the longest; %,d waits over them, %,.0f ms the longest"
            .formatted(
                number("breaks", "count"),
                at("breaks", "totalMillis").asDouble(),
                at("breaks", "longestMillis").asDouble(),
                number("breaks", "waiters"),
                at("breaks", "longestWaitMillis").asDouble()));
    line(
        "stream",
        "%,d pages, %,.0f MiB/s"
            .formatted(number("streamedPages"), at("streamMebibytesPerSecond").asDouble()));
    line(
        "faults",
        "%,d: p50 %,.0f µs, p99 %,.0f µs, worst %,.0f µs"
            .formatted(
                number("faults", "count"),
                at("faults", "p50Micros").asDouble(),
                at("faults", "p99Micros").asDouble(),
                at("faults", "maxMicros").asDouble()));
  }

  private String pages() {
    long total = number("pages", "pagesTotal");
    long resolved = total - number("pages", "unresolved");
    return "%,d of %,d resolved (%d %%)"
        .formatted(resolved, total, total == 0 ? 0 : 100 * resolved / total);
  }

  private String waiting() {
    long count = number("waiters", "count");
    return count == 0
        ? "nobody"
        : "%,d threads for a page, the longest for %,.0f ms"
            .formatted(count, at("waiters", "longestMillis").asDouble());
  }

  private String lastError() {
    JsonNode error = at("lastError");
    return error.isObject()
        ? "%s (%s)".formatted(error.path("text").asText(), error.path("time").asText())
        : "none";
  }

  private String sourceLine() {
    return "%s: %,d of %,d pages sent, %,d lost, %,d breaks; last error: %s"
        .formatted(
            status.path("phase").asText(),
            number("answered") + number("streamedData") + number("streamedZero"),
            number("pagesTotal"),
            number("pagesLost"),
            number("breaks"),
            lastError());
  }

  private String destinationLine() {
    return "%s: %s, %,d lost, %d waiting, %,d breaks; last error: %s"
        .formatted(
            status.path("phase").asText(),
            pages(),
            number("pages", "pagesPoisoned"),
            number("waiters", "count"),
            number("breaks", "count"),
            lastError());
  }
}
