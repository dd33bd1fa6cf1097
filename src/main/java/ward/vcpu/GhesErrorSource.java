package ward.vcpu;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.function.LongSupplier;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Tells the guest's firmware interface of the errors that its accesses ran into, one record at a
 * time. The abort that makes the guest look follows each record, so only the vCPU that met an error
 * writes its record, and does nothing else before the abort.
 *
 * <p>A record that the guest has not acknowledged is never overwritten. vCPUs that meet errors
 * meanwhile wait in the order in which they came: each asks again and again, and one that has
 * stopped asking loses its place. A vCPU may run on while it waits, for it only meets the same
 * error again. Nothing that waits here is lost in a migration either: the vCPU stands before the
 * access, and repeats it on the next host.
 *
 * <p>Safe for all vCPU threads. No call waits for another vCPU.
 */
final class GhesErrorSource {

  /** What the vCPU does next. */
  enum Delivery {
    /** The abort, at once: the guest finds the record. */
    WRITTEN,
    /** No abort; the same call again, within a few milliseconds, if the error is still met. */
    WAITS,
    /** The abort, without a record; the log says why. */
    IMPOSSIBLE
  }

  /**
   * A guest acknowledges within microseconds of its abort, unless it is waiting for a page. One
   * that met an error while it handled another never will, and must not hang in place of crashing.
   */
  static final long PATIENCE_NANOS = TimeUnit.SECONDS.toNanos(5);

  /** A vCPU that asks no more was paused, or went on to something else on an interrupt. */
  static final long PLACE_KEPT_NANOS = TimeUnit.MILLISECONDS.toNanos(500);

  private static final Logger LOG = LoggerFactory.getLogger(GhesErrorSource.class);
  private static final int NOBODY = -1;

  private final ErrorStatusBlock block;
  private final LongSupplier nanoTime;

  /** By vCPU, in the order in which they came. */
  private final Map<Integer, Place> queue = new LinkedHashMap<>();

  /** Which vCPU uses the block. */
  private int writer = NOBODY;

  private record Place(long cameNanos, long askedNanos) {}

  /**
   * @param nanoTime as {@link System#nanoTime()}
   */
  GhesErrorSource(ErrorStatusBlock block, LongSupplier nanoTime) {
    this.block = block;
    this.nanoTime = nanoTime;
  }

  /**
   * Writes the record of an error, or takes its vCPU's place in the queue. Called again for the
   * same error it keeps the place.
   *
   * <p>May wait for a page of the guest that is missing, in native code.
   *
   * @param error of the calling thread's vCPU
   */
  Delivery deliver(MemoryError error) {
    if (!begin(error.vcpu())) {
      return patience(error);
    }
    ErrorStatusBlock.Outcome outcome = ErrorStatusBlock.Outcome.UNREACHABLE;
    try {
      outcome = block.write(new ErrorRecord(List.of(error)));
    } finally {
      end(error.vcpu(), outcome);
    }
    return switch (outcome) {
      case WRITTEN -> {
        LOG.info("an error record of {} awaits vCPU {}", error.place(), error.vcpu());
        yield Delivery.WRITTEN;
      }
      case UNREACHABLE -> Delivery.IMPOSSIBLE;
      case UNACKNOWLEDGED -> patience(error);
    };
  }

  /** Whether it is this vCPU's turn to use the block. */
  private synchronized boolean begin(int vcpu) {
    long now = nanoTime.getAsLong();
    queue.entrySet().removeIf(entry -> isForgotten(entry.getKey(), entry.getValue(), now));
    queue.merge(vcpu, new Place(now, now), (place, asked) -> new Place(place.cameNanos(), now));
    boolean isFirst = queue.keySet().iterator().next() == vcpu;
    if (isFirst) {
      writer = vcpu;
    }
    return isFirst;
  }

  private boolean isForgotten(int vcpu, Place place, long now) {
    return vcpu != writer && now - place.askedNanos() > PLACE_KEPT_NANOS;
  }

  private synchronized void end(int vcpu, ErrorStatusBlock.Outcome outcome) {
    writer = NOBODY;
    if (outcome != ErrorStatusBlock.Outcome.UNACKNOWLEDGED) {
      queue.remove(vcpu);
    }
  }

  private synchronized Delivery patience(MemoryError error) {
    long waitedNanos = nanoTime.getAsLong() - queue.get(error.vcpu()).cameNanos();
    if (waitedNanos <= PATIENCE_NANOS) {
      return Delivery.WAITS;
    }
    queue.remove(error.vcpu());
    LOG.error(
        "no error record of {} reaches the guest: it has not acknowledged the one before within {}"
            + " ms",
        error.place(),
        TimeUnit.NANOSECONDS.toMillis(waitedNanos));
    return Delivery.IMPOSSIBLE;
  }
}
