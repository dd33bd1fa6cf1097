package ward.poison;

import java.io.IOException;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Consumer;
import java.util.function.Supplier;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Writes to a ledger, one after the other, and tries again while its disk is full or fails: what
 * depends on an entry does not happen before, and what comes behind it waits too.
 *
 * <p>A full disk is often a matter of minutes. Whoever touches the page in question waits for as
 * long, which costs time; to go on without the entry would cost data at the next crash.
 *
 * <p>Confined to one thread, but for {@link #add} and {@link #awaitRoom}.
 */
public final class LedgerQueue {

  private static final Logger log = LoggerFactory.getLogger(LedgerQueue.class);

  static final long RETRY_MILLIS = 250;

  /** Writes that wait while the disk does not take them. */
  static final int WAITING_MAX = 1024;

  private static final long ROOM_NANOS = TimeUnit.SECONDS.toNanos(1);
  private static final long WARN_EVERY_NANOS = TimeUnit.SECONDS.toNanos(10);

  /** The thread that may wait for the disk. */
  @FunctionalInterface
  public interface DiskThread {
    void run(Runnable task, long delayMillis);
  }

  /** Something that begins with an append. */
  @FunctionalInterface
  public interface Write {
    /**
     * @throws LedgerException before it has had any effect; it is tried again then
     * @throws IOException if it cannot be done
     */
    void run() throws IOException;
  }

  private final DiskThread thread;
  private final Supplier<Duration> patience;
  private final Consumer<Throwable> onFailure;
  private final Deque<Write> waiting = new ArrayDeque<>();
  private final AtomicInteger added = new AtomicInteger(); // and not yet written
  private boolean failing;
  private volatile boolean ended;
  private long failingSince;
  private long warnedAt;

  /**
   * @param patience how long a write is tried for; asked when one has failed
   * @param onFailure hears of what cannot be done; after a write that took too long nothing more is
   *     written
   */
  public LedgerQueue(
      DiskThread thread, Supplier<Duration> patience, Consumer<Throwable> onFailure) {
    this.thread = thread;
    this.patience = patience;
    this.onFailure = onFailure;
  }

  /**
   * Returns when few writes wait, or after a second: whoever is to end must not wait for a disk.
   * For whoever may make a peer wait by it, as a stream does: what the peer says meanwhile stays in
   * its socket. Never on the thread that writes.
   */
  public void awaitRoom() {
    long until = System.nanoTime() + ROOM_NANOS;
    long left = ROOM_NANOS;
    synchronized (added) {
      while (added.get() >= WAITING_MAX && !ended && left > 0) {
        try {
          TimeUnit.NANOSECONDS.timedWait(added, left);
        } catch (InterruptedException e) {
          Thread.currentThread().interrupt();
          return;
        }
        left = until - System.nanoTime();
      }
    }
  }

  private void leave(int writes) {
    synchronized (added) {
      added.addAndGet(-writes);
      added.notifyAll();
    }
  }

  /** Writes when everything before is written; from any thread. */
  public void add(Write write) {
    added.incrementAndGet();
    thread.run(
        () -> {
          waiting.add(write);
          if (!failing) {
            writeAll();
          }
        },
        0);
  }

  private void writeAll() {
    while (!ended && !waiting.isEmpty()) {
      try {
        waiting.element().run();
        waiting.remove();
        leave(1);
        succeeded();
      } catch (LedgerException e) {
        if (!isTriedAgain(e)) {
          giveUp(e);
        }
        return;
      } catch (IOException | RuntimeException e) {
        waiting.remove();
        leave(1);
        onFailure.accept(e);
      }
    }
  }

  private void succeeded() {
    if (failing) {
      failing = false;
      log.info(
          "the ledger can be written again, after {} s",
          TimeUnit.NANOSECONDS.toSeconds(System.nanoTime() - failingSince));
    }
  }

  private boolean isTriedAgain(LedgerException failure) {
    long now = System.nanoTime();
    if (!failing) {
      failing = true;
      failingSince = now;
      warnedAt = now - WARN_EVERY_NANOS;
    }
    if (failure.kind() != LedgerException.Kind.IO
        || now - failingSince >= patience.get().toNanos()) {
      return false;
    }
    if (now - warnedAt >= WARN_EVERY_NANOS) {
      warnedAt = now;
      warn(failure);
    }
    thread.run(this::writeAll, RETRY_MILLIS);
    return true;
  }

  private void warn(LedgerException failure) {
    log.warn(
        "{}; {} writes wait, and with them whoever needs the pages. Free or repair the disk within {} s",
        failure.getMessage(),
        waiting.size(),
        patience.get().toSeconds()
            - TimeUnit.NANOSECONDS.toSeconds(System.nanoTime() - failingSince));
  }

  private void giveUp(LedgerException failure) {
    ended = true;
    leave(waiting.size());
    waiting.clear();
    onFailure.accept(failure);
  }
}
