package ward.metrics;

import java.util.Arrays;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import java.util.function.LongSupplier;

/**
 * The threads that wait for pages, and how long those waited over whose wait the connections broke.
 *
 * <p>On the fault path: no allocation, unless more threads wait at once than ever before. A guest
 * has few vCPUs, so that looking through all of them costs little; while nobody waits, one read.
 */
final class Waiters {

  private static final int FIRST_CAPACITY = 64;

  /** Threads that wait now. */
  record Now(int count, double longestMillis) {}

  private final LongSupplier nanoTime;
  private final Consumer<DestinationMetrics.WaitsOverBreak> whenOver;
  private int[] threads = new int[FIRST_CAPACITY];
  private long[] pages = new long[FIRST_CAPACITY];
  private long[] since = new long[FIRST_CAPACITY];
  private boolean[] overBreak = new boolean[FIRST_CAPACITY];
  private volatile int count; // changed by whoever holds the lock
  private boolean broken;
  private int open; // of the marked, those who still wait
  private int waited;
  private long longestNanos;
  private long allWaited;
  private long longestOfAllNanos;

  /**
   * @param whenOver hears of a break when the last of those who waited over it goes on, on the
   *     thread that woke it; it must not block
   */
  Waiters(LongSupplier nanoTime, Consumer<DestinationMetrics.WaitsOverBreak> whenOver) {
    this.nanoTime = nanoTime;
    this.whenOver = whenOver;
  }

  /** A thread waits; one that did for the same page goes on waiting. */
  synchronized void waits(int thread, long page) {
    int i = indexOf(thread);
    if (i == count) {
      requireRoom();
      threads[i] = thread;
      begin(i, page);
      count = i + 1;
    } else if (pages[i] != page) {
      leave(i);
      begin(i, page);
    }
  }

  private int indexOf(int thread) {
    int i = 0;
    while (i < count && threads[i] != thread) {
      i++;
    }
    return i;
  }

  private void requireRoom() {
    if (count == threads.length) {
      int more = 2 * count;
      threads = Arrays.copyOf(threads, more);
      pages = Arrays.copyOf(pages, more);
      since = Arrays.copyOf(since, more);
      overBreak = Arrays.copyOf(overBreak, more);
    }
  }

  private void begin(int i, long page) {
    pages[i] = page;
    since[i] = nanoTime.getAsLong();
    mark(i, broken);
  }

  private void mark(int i, boolean over) {
    if (over && !overBreak[i]) {
      open++;
    }
    overBreak[i] = over;
  }

  /** Whoever waits for one of these pages goes on. */
  void woken(long firstPage, long pageCount) {
    if (count > 0) {
      remove(firstPage, firstPage + pageCount);
    }
  }

  private synchronized void remove(long from, long to) {
    int i = 0;
    while (i < count) {
      if (pages[i] >= from && pages[i] < to) {
        leave(i);
        moveLastTo(i);
      } else {
        i++;
      }
    }
  }

  private void moveLastTo(int i) {
    int last = count - 1;
    threads[i] = threads[last];
    pages[i] = pages[last];
    since[i] = since[last];
    overBreak[i] = overBreak[last];
    overBreak[last] = false;
    count = last;
  }

  private void leave(int i) {
    if (overBreak[i]) {
      overBreak[i] = false;
      open--;
      waited++;
      longestNanos = Math.max(longestNanos, nanoTime.getAsLong() - since[i]);
      tellIfOver();
    }
  }

  /** The connections broke: whoever waits now, or begins to before {@link #mended()}, is marked. */
  synchronized void broken() {
    broken = true;
    for (int i = 0; i < count; i++) {
      mark(i, true);
    }
  }

  /** The source is there again. */
  synchronized void mended() {
    broken = false;
    tellIfOver();
  }

  private void tellIfOver() {
    if (broken || open > 0) {
      return;
    }
    allWaited += waited;
    longestOfAllNanos = Math.max(longestOfAllNanos, longestNanos);
    whenOver.accept(new DestinationMetrics.WaitsOverBreak(waited, longestNanos / 1e6));
    waited = 0;
    longestNanos = 0;
  }

  synchronized Now now() {
    long now = nanoTime.getAsLong();
    long longest = 0;
    for (int i = 0; i < count; i++) {
      longest = Math.max(longest, now - since[i]);
    }
    return new Now(count, longest / (double) TimeUnit.MILLISECONDS.toNanos(1));
  }

  /** Waits over breaks so far, also of those that still last. */
  synchronized DestinationMetrics.WaitsOverBreak overBreaks() {
    return new DestinationMetrics.WaitsOverBreak(
        allWaited + waited, Math.max(longestOfAllNanos, longestNanos) / 1e6);
  }
}
