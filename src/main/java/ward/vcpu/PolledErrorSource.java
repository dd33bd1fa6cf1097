package ward.vcpu;

import java.util.ArrayDeque;
import java.util.List;
import java.util.Queue;
import java.util.concurrent.locks.ReentrantLock;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Warns a guest of memory that is lost and that nothing has consumed yet, through an error source
 * which the guest polls: no vCPU is interrupted. The guest's polling sets the pace: a record goes
 * out when the one before has been acknowledged.
 *
 * <p>Safe for all threads.
 */
final class PolledErrorSource {

  /**
   * Linux takes pages out of use in a worker, and drops what does not fit in that one's queue of 16
   * on each processor ({@code MEMORY_FAILURE_FIFO_SIZE} in mm/memory-failure.c). Half of that: the
   * worker of a busy guest may not have come to the record before, which was acknowledged earlier.
   */
  static final int RECORD_ERRORS_MAX = 8;

  private static final Logger LOG = LoggerFactory.getLogger(PolledErrorSource.class);

  private final ErrorStatusBlock block;
  private final ReentrantLock writing = new ReentrantLock();

  /** Guarded by itself. */
  private final Queue<MemoryError> waiting = new ArrayDeque<>();

  PolledErrorSource(ErrorStatusBlock block) {
    this.block = block;
  }

  /** Queues a warning; it goes out in {@link #deliverWaiting()}. */
  void announce(MemoryError error) {
    synchronized (waiting) {
      waiting.add(error);
    }
  }

  /** Whether as many warnings wait as one record takes: more would only wait longer. */
  boolean isFull() {
    return waiting().size() >= recordErrorsMax();
  }

  boolean hasWaiting() {
    synchronized (waiting) {
      return !waiting.isEmpty();
    }
  }

  /** What the guest has not been warned of, in order. */
  List<MemoryError> waiting() {
    synchronized (waiting) {
      return List.copyOf(waiting);
    }
  }

  /**
   * Writes the next record, if there is one and the guest is done with the one before. Returns at
   * once where another thread is doing so; may else wait for a page of the guest that is missing,
   * in native code.
   */
  void deliverWaiting() {
    if (!hasWaiting() || !writing.tryLock()) {
      return;
    }
    try {
      List<MemoryError> errors = next();
      if (!errors.isEmpty()) {
        deliver(errors);
      }
    } finally {
      writing.unlock();
    }
  }

  private List<MemoryError> next() {
    synchronized (waiting) {
      return waiting.stream().limit(recordErrorsMax()).toList();
    }
  }

  private int recordErrorsMax() {
    return Math.min(RECORD_ERRORS_MAX, block.errorsMax());
  }

  private void deliver(List<MemoryError> errors) {
    switch (block.write(new ErrorRecord(errors))) {
      case WRITTEN -> {
        remove(errors.size());
        LOG.debug("the guest can see {} warnings, {} wait", errors.size(), waiting().size());
      }
      case UNREACHABLE -> {
        LOG.warn("the guest is not warned of {} losses of memory", waiting().size());
        remove(Integer.MAX_VALUE);
      }
      case UNACKNOWLEDGED -> {
        // The guest has not polled yet.
      }
    }
  }

  private void remove(int count) {
    synchronized (waiting) {
      for (int i = 0; i < count && !waiting.isEmpty(); i++) {
        waiting.remove();
      }
    }
  }
}
