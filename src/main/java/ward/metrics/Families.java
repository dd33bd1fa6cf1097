package ward.metrics;

import io.prometheus.metrics.core.metrics.CounterWithCallback;
import io.prometheus.metrics.core.metrics.GaugeWithCallback;
import io.prometheus.metrics.core.metrics.Info;
import io.prometheus.metrics.model.registry.Collector;
import io.prometheus.metrics.model.registry.PrometheusRegistry;
import io.prometheus.metrics.model.snapshots.HistogramSnapshot;
import java.util.Arrays;
import java.util.Locale;
import java.util.function.Consumer;
import java.util.function.DoubleSupplier;
import java.util.function.LongSupplier;
import java.util.function.Supplier;
import ward.memory.Pages;

/**
 * Metric families of Prometheus over numbers that are counted anyway: all of them are read when
 * somebody asks, and only then.
 *
 * @see <a href="https://prometheus.io/docs/practices/naming/">Prometheus, metric and label
 *     naming</a>
 */
final class Families {

  private final PrometheusRegistry registry;

  Families(PrometheusRegistry registry) {
    this.registry = registry;
  }

  /** What never changes while the process lives: names and values in turns. */
  void info(String name, String help, String... labels) {
    String[] names = new String[labels.length / 2];
    String[] values = new String[labels.length / 2];
    for (int i = 0; i < names.length; i++) {
      names[i] = labels[2 * i];
      values[i] = labels[2 * i + 1];
    }
    Info.builder()
        .name(name)
        .help(help)
        .labelNames(names)
        .register(registry)
        .setLabelValues(values);
  }

  /**
   * @param name ends with {@code _total}
   */
  void counter(String name, String help, LongSupplier value) {
    CounterWithCallback.builder()
        .name(name)
        .help(help)
        .callback(callback -> callback.call(value.getAsLong()))
        .register(registry);
  }

  /** Bytes of guest memory. */
  void pageBytes(String name, String help, LongSupplier pages) {
    counter(name, help, () -> Pages.bytes(pages.getAsLong()));
  }

  void gauge(String name, String help, DoubleSupplier value) {
    GaugeWithCallback.builder()
        .name(name)
        .help(help)
        .callback(callback -> callback.call(value.getAsDouble()))
        .register(registry);
  }

  /** One gauge for each value of a label. */
  void gauges(String name, String help, String label, Consumer<GaugeWithCallback.Callback> values) {
    GaugeWithCallback.builder()
        .name(name)
        .help(help)
        .labelNames(label)
        .callback(values)
        .register(registry);
  }

  /** One counter for each value of the labels. */
  void counters(
      String name, String help, Consumer<CounterWithCallback.Callback> values, String... labels) {
    CounterWithCallback.builder()
        .name(name)
        .help(help)
        .labelNames(labels)
        .callback(values)
        .register(registry);
  }

  /** 1 for the phase that it is in, 0 for the others. */
  <E extends Enum<E>> void phase(String name, E[] phases, Supplier<E> present) {
    gauges(
        name,
        "1 for the phase that it is in, 0 for every other.",
        "phase",
        callback -> {
          E now = present.get();
          Arrays.stream(phases).forEach(each -> callback.call(each == now ? 1 : 0, word(each)));
        });
  }

  /**
   * @param name ends with {@code _seconds}
   */
  void histogram(String name, String help, Durations durations) {
    Collector collector =
        () ->
            HistogramSnapshot.builder()
                .name(name)
                .help(help)
                .dataPoint(
                    HistogramSnapshot.HistogramDataPointSnapshot.builder()
                        .classicHistogramBuckets(durations.buckets())
                        .sum(durations.sumSeconds())
                        .build())
                .build();
    registry.register(collector);
  }

  /** On either side: how the guest that runs here hears of its losses. */
  void memoryErrors(MemoryErrorCounts counts, LongSupplier lostPages) {
    gauge(
        "ward_poison_pages",
        "Pages of the guest that are lost, by this host's ledger.",
        lostPages::getAsLong);
    counters(
        "ward_memory_errors_injected_total",
        "Memory errors that the guest was told of here, by what the host said of them.",
        callback ->
            counts.forEach((severity, input, count) -> callback.call(count, word(severity), input)),
        "severity",
        "input");
  }

  static String word(Enum<?> value) {
    return value.name().toLowerCase(Locale.ROOT);
  }
}
