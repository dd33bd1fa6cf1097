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
 * meanwhile wait in the order in which they came, outside the guest: one that went on would only
 * meet the same error again. Nothing that waits here is lost in a migration: the vCPU still stands
 * before the access, and repeats it on the next host.
 *
 * <p>Safe for all vCPU threads. No call waits for another vCPU.
 */
final class GhesErrorSource {

  /** What the vCPU does next. */
  enum Delivery {
    /** The abort, at once: the guest finds the record. */
    WRITTEN,
    /** The same call again, soon, and nothing else. */
    WAITS,
    /** The abort, without a record; the log says why. */
    IMPOSSIBLE
  }

  /**
   * A guest acknowledges within microseconds of its abort, unless it is waiting for a page. One
   * that met an error while it handled another never will, and must not hang in place of crashing.
   */
  static final long PATIENCE_NANOS = TimeUnit.SECONDS.toNanos(5);

  private static final Logger LOG = LoggerFactory.getLogger(GhesErrorSource.class);

  private final ErrorStatusBlock block;
  private final LongSupplier nanoTime;

  /** By vCPU, when it came, in that order. Only the first one uses the block. */
  private final Map<Integer, Long> queue = new LinkedHashMap<>();

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
    ErrorStatusBlock.Outcome outcome =
        isFirst(error.vcpu())
            ? block.write(new ErrorRecord(List.of(error)))
            : ErrorStatusBlock.Outcome.UNACKNOWLEDGED;
    Delivery delivery =
        switch (outcome) {
          case WRITTEN -> Delivery.WRITTEN;
          case UNREACHABLE -> Delivery.IMPOSSIBLE;
          case UNACKNOWLEDGED -> isPatient(error) ? Delivery.WAITS : Delivery.IMPOSSIBLE;
        };
    if (delivery != Delivery.WAITS) {
      withdraw(error.vcpu());
    }
    return delivery;
  }

  /** Gives a vCPU's place in the queue away: it stopped, or found another way out. */
  synchronized void withdraw(int vcpu) {
    queue.remove(vcpu);
  }

  private synchronized boolean isFirst(int vcpu) {
    queue.putIfAbsent(vcpu, nanoTime.getAsLong());
    return queue.keySet().iterator().next() == vcpu;
  }

  private synchronized boolean isPatient(MemoryError error) {
    long waitedNanos = nanoTime.getAsLong() - queue.get(error.vcpu());
    if (waitedNanos <= PATIENCE_NANOS) {
      return true;
    }
    LOG.error(
        "no error record of {} reaches the guest: it has not acknowledged the one before within {}"
            + " ms",
        error.place(),
        TimeUnit.NANOSECONDS.toMillis(waitedNanos));
    return false;
  }
}
