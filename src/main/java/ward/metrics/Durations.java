package ward.metrics;

import io.prometheus.metrics.model.snapshots.ClassicHistogramBuckets;
import java.util.concurrent.atomic.LongAdder;

/**
 * How often something took how long, in buckets whose bounds are fixed: exact counts, and nothing
 * is allocated when one is added. Safe for use by several threads.
 */
final class Durations {

  private static final double NANOS_PER_SECOND = 1e9;

  private final long[] boundsNanos;
  private final LongAdder[] counts; // the last one has no upper bound
  private final LongAdder sumNanos = new LongAdder();

  /**
   * @param boundsSeconds inclusive upper bounds, ascending
   */
  Durations(double... boundsSeconds) {
    boundsNanos = new long[boundsSeconds.length];
    counts = new LongAdder[boundsSeconds.length + 1];
    for (int i = 0; i < boundsNanos.length; i++) {
      boundsNanos[i] = Math.round(boundsSeconds[i] * NANOS_PER_SECOND);
    }
    for (int i = 0; i < counts.length; i++) {
      counts[i] = new LongAdder();
    }
  }

  void add(long nanos) {
    int bucket = 0;
    while (bucket < boundsNanos.length && nanos > boundsNanos[bucket]) {
      bucket++;
    }
    counts[bucket].increment();
    sumNanos.add(nanos);
  }

  /** Each bucket by itself, not the sum of those below it. */
  ClassicHistogramBuckets buckets() {
    ClassicHistogramBuckets.Builder buckets = ClassicHistogramBuckets.builder();
    for (int i = 0; i < counts.length; i++) {
      double bound =
          i < boundsNanos.length ? boundsNanos[i] / NANOS_PER_SECOND : Double.POSITIVE_INFINITY;
      buckets.bucket(bound, counts[i].sum());
    }
    return buckets.build();
  }

  double sumSeconds() {
    return sumNanos.sum() / NANOS_PER_SECOND;
  }
}
