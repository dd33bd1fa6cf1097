package ward.testbed;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assertions.assertEquals;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.LongStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import ward.cli.ControlClient;
import ward.poison.LedgerJournal;
import ward.poison.Origin;
import ward.poison.PoisonEntry;
import ward.testing.ExpositionText;
import ward.testing.RequiresKvm;
import ward.wire.ControlMessage;

/** What a migration shows of itself: metrics and log, against the status and the ledgers. */
@RequiresKvm
@Timeout(value = 3, unit = TimeUnit.MINUTES)
class ObservedScenario extends OperatedMigration {

  private static final Pattern ENDPOINT =
      Pattern.compile("metrics on (http://127\\.0\\.0\\.1:\\d+/metrics)");

  private static final List<String> NOT_MET = List.of("ANNOUNCEMENT", "BROADCAST", "DEVICE_COPY");

  private static ExpositionText scrape(Daemon daemon) throws IOException {
    Matcher endpoint = ENDPOINT.matcher(daemon.errors());
    assertThat(endpoint.find()).as(daemon.errors()).isTrue();
    try {
      HttpResponse<String> answer =
          HttpClient.newHttpClient()
              .send(
                  HttpRequest.newBuilder(URI.create(endpoint.group(1))).build(),
                  HttpResponse.BodyHandlers.ofString());
      assertEquals(200, answer.statusCode());
      return ExpositionText.parse(answer.body());
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IOException("interrupted", e);
    }
  }

  private String gpa(long page) {
    return "0x%x".formatted(guest.layout().addressOf(page));
  }

  /** Pages that the guest reads last of all. */
  private List<Long> lastPages(int count) {
    long[] order = guest.orders().get(0);
    List<Long> pages = new ArrayList<>();
    for (int i = order.length - 1; pages.size() < count; i--) {
      if (!guest.imagePages().contains(order[i])) {
        pages.add(order[i]);
      }
    }
    return pages;
  }

  /** One that the guest has read by then. */
  private long firstPage() {
    return LongStream.of(guest.orders().get(0))
        .filter(page -> !guest.imagePages().contains(page))
        .findFirst()
        .orElseThrow();
  }

  @Test
  void metricsAndLinesSayWhatTheStatusAndTheLedgersSay() throws IOException {
    declareLoss();
    startSource(false, "--metrics", "127.0.0.1:0", "--inject-unreadable", "0x400000");
    FaultyLink link = slowLink();
    startDestination(link.address(), "destination", "--metrics", "127.0.0.1:0", "--keep");
    awaitPhase("SERVING", "source");
    List<Long> last = lastPages(2);

    deadline.await(
        "the guest to have read some pages", () -> status("source").get("answered").asInt() > 100);
    long held = firstPage();
    Order report =
        Order.give(
            List.of(
                "control",
                "--socket",
                path("source.sock").toString(),
                "report",
                gpa(last.get(0)),
                gpa(last.get(1)),
                gpa(held)));
    assertEquals(0, report.await(deadline), report::errors);
    compareSource();
    link.heal();
    ControlClient.send(path("source.sock"), new ControlMessage.StreamControl(false));
    assertEquals(0, source.await(deadline), source::errors);
    deadline.await("the guest to end", () -> status("destination").get("guestEnded").asBoolean());

    JsonNode status = status("destination");
    compareDestination(status, scrape(destination));
    compareLinesOfSource();
    compareLinesOfDestination(status);
    destination.terminate();
    assertEquals(0, destination.await(deadline), destination::errors);
  }

  /** It serves on meanwhile, so what it counts is between two looks at the status. */
  private void compareSource() throws IOException {
    JsonNode before = status("source");
    ExpositionText metrics = scrape(source);
    JsonNode after = status("source");

    assertThat(metrics.value("ward_source_sent_pages_total", Map.of("way", "demand")))
        .isBetween(before.get("answered").asDouble(), after.get("answered").asDouble());
    assertThat(metrics.value("ward_poison_pages"))
        .isBetween(before.get("pagesLost").asDouble(), after.get("pagesLost").asDouble());
    assertEquals(
        3, metrics.value("ward_source_poison_learnt_pages_total", Map.of("discovery", "reported")));
    assertEquals(before.get("pagesTotal").asDouble(), metrics.value("ward_source_pages"));
    assertEquals(1, metrics.value("ward_source_phase", Map.of("phase", "serving")));
  }

  private static void compareDestination(JsonNode status, ExpositionText metrics) {
    String pages = "ward_destination_pages";
    assertEquals(
        status.at("/pages/pagesData").asDouble(), metrics.value(pages, Map.of("state", "data")));
    assertEquals(
        status.at("/pages/pagesZero").asDouble(), metrics.value(pages, Map.of("state", "zero")));
    assertEquals(0, metrics.value(pages, Map.of("state", "unresolved")));
    assertEquals(status.at("/pages/pagesTotal").asDouble(), metrics.sum(pages));
    assertEquals(status.at("/pages/pagesPoisoned").asDouble(), metrics.value("ward_poison_pages"));
    assertEquals(
        status.at("/faults/count").asDouble(),
        metrics.value("ward_destination_fault_duration_seconds_count"));
    assertThat(metrics.value("ward_destination_fault_duration_seconds_sum"))
        .isGreaterThan(status.at("/faults/maxMicros").asDouble() / 1e6 * 0.99);
    assertEquals(
        status.get("streamedPages").asDouble() * 4096,
        metrics.value("ward_destination_streamed_bytes_total"));
    assertEquals(
        status.get("latePoisonedPages").asDouble(),
        metrics.value("ward_destination_late_poison_pages_total"));
    assertEquals(
        status.get("heldPages").asDouble(), metrics.value("ward_destination_held_pages_total"));
    assertEquals(0, metrics.value("ward_destination_breaks_total"));
    assertEquals(1, metrics.value("ward_destination_phase", Map.of("phase", "complete")));
    assertThat(met(status)).isEqualTo(status.get("machineChecksInjected").asLong());
    assertEquals(
        status.get("memoryErrors").size(), metrics.sum("ward_memory_errors_injected_total"));
  }

  private static long met(JsonNode status) {
    long met = 0;
    for (JsonNode error : status.get("memoryErrors")) {
      met += NOT_MET.contains(error.get("input").asText()) ? 0 : 1;
    }
    return met;
  }

  private void compareLinesOfSource() throws IOException {
    List<PoisonLine> lines = PoisonLine.in(source.errors());

    List<String> learnt = new ArrayList<>();
    lines.stream()
        .filter(line -> line.isFor("found") || line.isFor("reported"))
        .forEach(line -> learnt.add(inLedgersWords(line)));
    List<String> expected = new ArrayList<>();
    for (PoisonEntry entry : LedgerJournal.read(path("ledger")).ledger().entries()) {
      if (entry.origin().discovery() != Origin.Discovery.DECLARED) {
        expected.add(inLedgersWords(entry));
      }
    }
    assertThat(learnt).containsExactlyInAnyOrderElementsOf(expected).hasSize(4);
    assertThat(lines).filteredOn(line -> line.isFor("held")).hasSize(1);
  }

  private static String inLedgersWords(PoisonLine line) {
    return String.join(
        " ",
        line.get("gpa"),
        line.get("lsb"),
        line.get("severity"),
        line.get("host"),
        line.get("time"),
        line.get("discovery"));
  }

  private static String inLedgersWords(PoisonEntry entry) {
    return "0x%x %d %s %s %s %s"
        .formatted(
            entry.guestPhysicalAddress(),
            entry.pageShift(),
            entry.severity().name().toLowerCase(Locale.ROOT),
            entry.origin().host(),
            entry.origin().time(),
            entry.origin().discovery().name().toLowerCase(Locale.ROOT));
  }

  private void compareLinesOfDestination(JsonNode status) throws IOException {
    List<PoisonLine> lines = PoisonLine.in(destination.errors());
    List<PoisonEntry> ledger = LedgerJournal.read(path("destination-ledger")).ledger().entries();

    assertThat(lines)
        .filteredOn(line -> line.isFor("late"))
        .extracting(ObservedScenario::inLedgersWords)
        .containsExactlyInAnyOrderElementsOf(
            ledger.stream()
                .filter(e -> e.origin().discovery() != Origin.Discovery.DECLARED)
                .map(ObservedScenario::inLedgersWords)
                .toList())
        .hasSize(3);
    assertThat(lines)
        .filteredOn(line -> line.isFor("held"))
        .hasSize(status.get("heldPages").asInt());
    List<PoisonLine> injected = lines.stream().filter(line -> line.isFor("injected")).toList();
    assertThat(injected).hasSize(status.get("memoryErrors").size()).isNotEmpty();
    for (int i = 0; i < injected.size(); i++) {
      compareInjection(injected.get(i), status.get("memoryErrors").get(i), ledger);
    }
  }

  private static void compareInjection(PoisonLine line, JsonNode event, List<PoisonEntry> ledger) {
    assertEquals(event.get("guestPhysicalAddress").asText(), line.get("gpa"));
    assertEquals(event.get("hostAddress").asText(), line.get("hva"));
    assertEquals(event.get("lsb").asText(), line.get("lsb"));
    assertEquals(event.get("severity").asText().toLowerCase(Locale.ROOT), line.get("severity"));
    assertEquals(event.get("input").asText().toLowerCase(Locale.ROOT), line.get("input"));
    assertEquals(event.get("vcpu").asText(), line.get("vcpu"));
    assertEquals(event.get("output").asText(), line.get("done"));
    assertThat(ledger)
        .filteredOn(entry -> entry.covers(line.guestPhysicalAddress()))
        .extracting(ObservedScenario::inLedgersWords)
        .contains(inLedgersWords(line));
  }
}
