package ward.cli;

import io.netty.util.NetUtil;
import io.prometheus.metrics.model.registry.PrometheusRegistry;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.util.function.Supplier;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import picocli.CommandLine.Option;
import ward.metrics.MetricsEndpoint;

/** {@code --metrics}, of both daemons. */
final class MetricsOption {

  private static final Logger log = LoggerFactory.getLogger("ward.metrics");

  @Option(
      names = "--metrics",
      paramLabel = "HOST:PORT",
      description =
          "Where Prometheus may scrape /metrics; an address of this host's loopback only, port 0"
              + " takes any free port (default: nowhere).")
  HostPort address;

  /**
   * Before anything is made.
   *
   * @throws CommandFailure USAGE if others could reach it
   */
  void requireLoopback() {
    if (address != null && !address.resolve().getAddress().isLoopbackAddress()) {
      throw new CommandFailure(
          ExitCode.USAGE,
          "--metrics %s:%d: not a loopback address; there is neither a password nor encryption, so use 127.0.0.1:PORT or [::1]:PORT, and a proxy that has both for other hosts"
              .formatted(address.host(), address.port()));
    }
  }

  /** Listens, if that was asked for; closing ends it. */
  AutoCloseableEndpoint listen(Supplier<PrometheusRegistry> registry) {
    if (address == null) {
      return () -> {};
    }
    InetSocketAddress asked = address.resolve();
    try {
      MetricsEndpoint endpoint = MetricsEndpoint.listen(asked, registry.get());
      log.info("metrics on http://{}/metrics", NetUtil.toSocketAddressString(endpoint.address()));
      return endpoint::close;
    } catch (IOException e) {
      throw new CommandFailure(ExitCode.HOST_REFUSED, "--metrics: " + e.getMessage());
    }
  }

  /** An endpoint, or none. */
  @FunctionalInterface
  interface AutoCloseableEndpoint extends AutoCloseable {
    @Override
    void close();
  }
}
