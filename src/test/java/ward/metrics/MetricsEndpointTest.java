package ward.metrics;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import ward.destination.DestinationPhase;
import ward.destination.DestinationReport;
import ward.poison.Severity;
import ward.source.SourcePhase;
import ward.testing.ExpositionText;

/** Over a real connection, read strictly. */
@Timeout(60)
class MetricsEndpointTest {

  private static final DestinationReport REPORT =
      new DestinationReport("web-7", 21, 1, 2, 3, 4, 11, -1, List.of(), "", 0, 0);

  private final DestinationMetrics destination = new DestinationMetrics();
  private final SourceMetrics source = new SourceMetrics();
  private final MemoryErrorCounts errors = new MemoryErrorCounts();

  private static ExpositionText scrape(MetricsEndpoint endpoint) throws Exception {
    URI uri = URI.create("http://127.0.0.1:%d/metrics".formatted(endpoint.address().getPort()));
    HttpResponse<String> answer =
        HttpClient.newHttpClient()
            .send(HttpRequest.newBuilder(uri).build(), HttpResponse.BodyHandlers.ofString());
    assertThat(answer.statusCode()).isEqualTo(200);
    assertThat(answer.headers().firstValue("Content-Type").orElse(""))
        .startsWith("text/plain; version=0.0.4");
    return ExpositionText.parse(answer.body());
  }

  private static InetSocketAddress anyPort() {
    return new InetSocketAddress(InetAddress.getLoopbackAddress(), 0);
  }

  private MetricsEndpoint destinationEndpoint() throws IOException {
    return MetricsEndpoint.listen(
        anyPort(),
        new MetricsEndpoint.Destination(
                "0.1.0 \"x\"",
                "kvm",
                "uffd",
                () -> DestinationPhase.RUNNING,
                () -> REPORT,
                destination,
                errors)
            .registry());
  }

  @Test
  void aDestinationThatHasDoneNothingYetHasEveryFamily() throws Exception {
    try (MetricsEndpoint endpoint = destinationEndpoint()) {
      ExpositionText text = scrape(endpoint);

      assertThat(text.value("ward_destination_breaks_total")).isZero();
      assertThat(text.value("ward_destination_fault_duration_seconds_count")).isZero();
      assertThat(text.value("ward_destination_pages", Map.of("state", "given_back"))).isEqualTo(4);
      assertThat(text.sum("ward_destination_pages")).isEqualTo(21);
      assertThat(text.value("ward_poison_pages")).isEqualTo(3);
      assertThat(text.value("ward_destination_phase", Map.of("phase", "running"))).isEqualTo(1);
      assertThat(text.sum("ward_destination_phase")).isEqualTo(1);
      assertThat(
              text.value(
                  "ward_destination_info",
                  Map.of("version", "0.1.0 \\\"x\\\"", "vcpu", "kvm", "marker", "uffd")))
          .isEqualTo(1);
    }
  }

  @Test
  void whatHappensIsCountedInBaseUnits() throws Exception {
    destination.faultResolved(150_000); // 0.15 ms
    destination.faultResolved(100_000); // a bound is in its bucket
    destination.faultResolved(40_000_000_000L);
    destination.streamed(3);
    destination.recovered(2_500_000_000L);
    destination.waits(17, 4);
    errors.add(Severity.ACTION_REQUIRED, "mmio_in_ram");
    errors.add(Severity.ACTION_REQUIRED, "mmio_in_ram");
    errors.add(Severity.ACTION_OPTIONAL, "announcement");

    try (MetricsEndpoint endpoint = destinationEndpoint()) {
      ExpositionText text = scrape(endpoint);

      String fault = "ward_destination_fault_duration_seconds";
      assertThat(text.value(fault + "_bucket", Map.of("le", "1.0E-4"))).isEqualTo(1);
      assertThat(text.value(fault + "_bucket", Map.of("le", "2.0E-4"))).isEqualTo(2);
      assertThat(text.value(fault + "_bucket", Map.of("le", "30.0"))).isEqualTo(2);
      assertThat(text.value(fault + "_count")).isEqualTo(3);
      assertThat(text.value(fault + "_sum")).isEqualTo(40.00025);
      assertThat(text.value("ward_destination_streamed_bytes_total")).isEqualTo(3 * 4096);
      assertThat(text.value("ward_destination_breaks_total")).isEqualTo(1);
      assertThat(text.value("ward_destination_break_duration_seconds_sum")).isEqualTo(2.5);
      assertThat(text.value("ward_destination_waiters")).isEqualTo(1);
      assertThat(text.value("ward_destination_wait_longest_seconds")).isPositive();
      assertThat(
              text.value(
                  "ward_memory_errors_injected_total",
                  Map.of("severity", "action_required", "input", "mmio_in_ram")))
          .isEqualTo(2);
      assertThat(text.sum("ward_memory_errors_injected_total")).isEqualTo(3);
    }
  }

  @Test
  void aSourceHasItsOwnFamilies() throws Exception {
    source.answered(4);
    source.streamed(7, 9);
    source.onPhase(SourcePhase.SERVING, SourcePhase.AWAITING_RETURN, "the cable was cut");
    try (MetricsEndpoint endpoint =
        MetricsEndpoint.listen(
            anyPort(),
            new MetricsEndpoint.Source(
                    "0.1.0",
                    () -> SourcePhase.SERVING,
                    () -> 100,
                    () -> 5,
                    () -> 2,
                    () -> 65_536,
                    source,
                    errors)
                .registry())) {
      ExpositionText text = scrape(endpoint);

      String sent = "ward_source_sent_pages_total";
      assertThat(text.value(sent, Map.of("way", "demand"))).isEqualTo(4);
      assertThat(text.value(sent, Map.of("way", "stream_data"))).isEqualTo(7);
      assertThat(text.value("ward_source_streamed_bytes_total")).isEqualTo(16 * 4096);
      assertThat(text.value("ward_source_breaks_total")).isEqualTo(1);
      assertThat(text.value("ward_source_pages")).isEqualTo(100);
      assertThat(text.value("ward_poison_pages")).isEqualTo(5);
      assertThat(text.value("ward_source_failed_attempts_total")).isEqualTo(2);
      assertThat(text.value("ward_source_stream_limit_bytes_per_second")).isEqualTo(65_536);
    }
  }

  @Test
  void aPortInUseIsNamed() throws Exception {
    try (MetricsEndpoint first = destinationEndpoint()) {
      assertThatThrownBy(
              () ->
                  MetricsEndpoint.listen(
                      first.address(),
                      new io.prometheus.metrics.model.registry.PrometheusRegistry()))
          .isInstanceOf(IOException.class)
          .hasMessageContaining(Integer.toString(first.address().getPort()))
          .hasMessageContaining("choose another port");
    }
  }
}
