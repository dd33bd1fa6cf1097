package ward.destination;

import java.util.Arrays;

/**
 * Requests that have no answer yet. In arrays: a fault allocates nothing.
 *
 * <p>A request's number is never 0, and is not used again while the process lives: what answers an
 * earlier request of the same slot does not answer this one. Safe for all threads; the lock is held
 * for a few instructions.
 */
final class OpenRequests {

  /** No page, no request, no time. */
  static final long NONE = -1;

  private static final int CAPACITY_FIRST = 64;
  private static final int SLOT_BITS = 24;
  private static final int SLOT_MASK = (1 << SLOT_BITS) - 1;

  private long[] numbers = new long[CAPACITY_FIRST]; // 0: free
  private long[] pages = new long[CAPACITY_FIRST];
  private long[] startNanos = new long[CAPACITY_FIRST];
  private int[] sentIn = new int[CAPACITY_FIRST];
  private int[] damaged = new int[CAPACITY_FIRST];
  private int[] free = new int[CAPACITY_FIRST];
  private int freeCount;
  private long opened;

  OpenRequests() {
    freeFrom(0);
  }

  private void freeFrom(int first) {
    for (int slot = numbers.length - 1; slot >= first; slot--) {
      free[freeCount++] = slot;
    }
  }

  /**
   * Opens a request for a page.
   *
   * @param timesDamaged how often the page has come damaged already
   */
  synchronized long open(long page, long sinceNanos, int timesDamaged) {
    if (freeCount == 0) {
      grow();
    }
    int slot = free[--freeCount];
    long number = ++opened << SLOT_BITS | slot;
    numbers[slot] = number;
    pages[slot] = page;
    startNanos[slot] = sinceNanos;
    sentIn[slot] = 0;
    damaged[slot] = timesDamaged;
    return number;
  }

  private void grow() {
    int before = numbers.length;
    if (before > SLOT_MASK) {
      throw new IllegalStateException(before + " requests are open at once");
    }
    numbers = Arrays.copyOf(numbers, 2 * before);
    pages = Arrays.copyOf(pages, 2 * before);
    startNanos = Arrays.copyOf(startNanos, 2 * before);
    sentIn = Arrays.copyOf(sentIn, 2 * before);
    damaged = Arrays.copyOf(damaged, 2 * before);
    free = Arrays.copyOf(free, 2 * before);
    freeFrom(before);
  }

  /** The page it is for; {@link #NONE} if it is not open. */
  synchronized long page(long number) {
    return isOpen(number) ? pages[slot(number)] : NONE;
  }

  /** When it was opened; {@link #NONE} if it is not open. */
  synchronized long startNanos(long number) {
    return isOpen(number) ? startNanos[slot(number)] : NONE;
  }

  /** How often its page has come damaged; 0 if it is not open. */
  synchronized int timesDamaged(long number) {
    return isOpen(number) ? damaged[slot(number)] : 0;
  }

  /** Once more. */
  synchronized void cameDamaged(long number) {
    if (isOpen(number)) {
      damaged[slot(number)]++;
    }
  }

  /** Whether the caller is the one that sends it in an attempt: once in each, whoever comes first. */
  synchronized boolean claimSending(long number, int attempt) {
    if (!isOpen(number) || sentIn[slot(number)] >= attempt) {
      return false;
    }
    sentIn[slot(number)] = attempt;
    return true;
  }

  /** False if it was not open. */
  synchronized boolean close(long number) {
    if (!isOpen(number)) {
      return false;
    }
    numbers[slot(number)] = 0;
    free[freeCount++] = slot(number);
    return true;
  }

  /** The numbers of all that are open. */
  synchronized long[] all() {
    return Arrays.stream(numbers).filter(number -> number != 0).toArray();
  }

  synchronized int count() {
    return numbers.length - freeCount;
  }

  private boolean isOpen(long number) {
    int slot = slot(number);
    return number > 0 && slot < numbers.length && numbers[slot] == number;
  }

  private static int slot(long number) {
    return (int) number & SLOT_MASK;
  }
}
