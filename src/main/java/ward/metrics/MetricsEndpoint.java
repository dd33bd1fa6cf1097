package ward.metrics;

import io.prometheus.metrics.exporter.httpserver.HTTPServer;
import io.prometheus.metrics.model.registry.PrometheusRegistry;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.function.LongSupplier;
import java.util.function.Supplier;
import ward.destination.DestinationPhase;
import ward.destination.DestinationReport;
import ward.source.SourcePhase;

/**
 * What a Prometheus server scrapes: {@code /metrics} by HTTP, on a thread of its own that only
 * reads.
 */
public final class MetricsEndpoint implements AutoCloseable {

  private final HTTPServer server;
  private final ExecutorService thread;
  private final InetSocketAddress address;

  private MetricsEndpoint(HTTPServer server, ExecutorService thread, InetSocketAddress address) {
    this.server = server;
    this.thread = thread;
    this.address = address;
  }

  /** The numbers of an incoming migration, as they are when they are asked for. */
  public record Destination(
      String version,
      String vcpu,
      String marker,
      Supplier<DestinationPhase> phase,
      Supplier<DestinationReport> report,
      DestinationMetrics metrics,
      MemoryErrorCounts errors) {

    /** The families of a destination. */
    public PrometheusRegistry registry() {
      PrometheusRegistry registry = new PrometheusRegistry();
      Families to = new Families(registry);
      to.info(
          "ward_destination_info",
          "What this daemon is.",
          "version",
          version,
          "vcpu",
          vcpu,
          "marker",
          marker);
      to.phase("ward_destination_phase", DestinationPhase.values(), phase);
      to.gauges(
          "ward_destination_pages",
          "Pages of the guest by what became of them; each is counted once.",
          "state",
          callback -> {
            DestinationReport now = report.get();
            callback.call(now.pagesData(), "data");
            callback.call(now.pagesZero(), "zero");
            callback.call(now.pagesPoisoned(), "poisoned");
            callback.call(now.pagesGivenBack(), "given_back");
            callback.call(now.unresolved(), "unresolved");
          });
      to.memoryErrors(errors, () -> report.get().pagesPoisoned());
      metrics.register(to);
      return registry;
    }
  }

  /**
   * The numbers of outgoing migrations, as they are when they are asked for.
   *
   * @param pages of the guest
   * @param lostPages by the ledger
   * @param failedAttempts destinations that have come, and failed to take the guest
   * @param streamLimit bytes a second that the background streams may send; 0 without a limit
   */
  public record Source(
      String version,
      Supplier<SourcePhase> phase,
      LongSupplier pages,
      LongSupplier lostPages,
      LongSupplier failedAttempts,
      LongSupplier streamLimit,
      SourceMetrics metrics,
      MemoryErrorCounts errors) {

    /** The families of a source. */
    public PrometheusRegistry registry() {
      PrometheusRegistry registry = new PrometheusRegistry();
      Families to = new Families(registry);
      to.info("ward_source_info", "What this daemon is.", "version", version);
      to.phase("ward_source_phase", SourcePhase.values(), phase);
      to.gauge("ward_source_pages", "Pages of the guest.", pages::getAsLong);
      to.counter(
          "ward_source_failed_attempts_total",
          "Destinations that have come, and failed to take the guest.",
          failedAttempts);
      to.gauge(
          "ward_source_stream_limit_bytes_per_second",
          "What the background streams may send together; 0 without a limit.",
          streamLimit::getAsLong);
      to.memoryErrors(errors, lostPages);
      metrics.register(to);
      return registry;
    }
  }

  /**
   * Listens.
   *
   * @param address port 0 takes any free port
   * @throws IOException if the address cannot be had
   */
  public static MetricsEndpoint listen(InetSocketAddress address, PrometheusRegistry registry)
      throws IOException {
    ExecutorService thread =
        Executors.newSingleThreadExecutor(
            task -> {
              Thread made = new Thread(task, "ward-metrics");
              made.setDaemon(true);
              return made;
            });
    try {
      HTTPServer server =
          HTTPServer.builder()
              .inetAddress(address.getAddress())
              .port(address.getPort())
              .executorService(thread)
              .registry(registry)
              .buildAndStart();
      return new MetricsEndpoint(
          server, thread, new InetSocketAddress(address.getAddress(), server.getPort()));
    } catch (IOException e) {
      thread.shutdownNow();
      throw new IOException(
          "cannot listen on %s for metrics: %s; choose another port"
              .formatted(address, e.getMessage()),
          e);
    }
  }

  /** Where it listens, with the port that was taken. */
  public InetSocketAddress address() {
    return address;
  }

  @Override
  public void close() {
    server.close();
    thread.shutdownNow();
  }
}
