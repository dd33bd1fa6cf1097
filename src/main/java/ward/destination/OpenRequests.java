package ward.destination;

import java.util.Arrays;

/**
 * Requests that have no answer yet. In arrays: a fault allocates nothing.
 *
 * <p>A request's number is never 0, and is not used again while the process lives. Safe for all
 * threads; the lock is held for a few instructions.
 */
final class OpenRequests {

  /** No page, no request, no time. */
  static final long NONE = -1;

  private static final int CAPACITY_FIRST = 64;

  private long[] numbers = new long[CAPACITY_FIRST]; // each at its own slot; 0: none
  private long[] pages = new long[CAPACITY_FIRST];
  private long[] startNanos = new long[CAPACITY_FIRST];
  private int[] sentIn = new int[CAPACITY_FIRST];
  private int[] damaged = new int[CAPACITY_FIRST];
  private int count;
  private long last;

  /**
   * Opens a request for a page.
   *
   * @param timesDamaged how often the page has come damaged already
   */
  synchronized long open(long page, long sinceNanos, int timesDamaged) {
    if (2 * count >= numbers.length) {
      grow();
    }
    do { // passes those by whose slot has an open one; half of the slots are free
      last++;
    } while (numbers[slot(last)] != 0);
    int slot = slot(last);
    numbers[slot] = last;
    pages[slot] = page;
    startNanos[slot] = sinceNanos;
    sentIn[slot] = 0;
    damaged[slot] = timesDamaged;
    count++;
    return last;
  }

  /** Numbers that had slots of their own have so among twice as many. */
  private void grow() {
    OpenRequests before = copy();
    int capacity = 2 * numbers.length;
    numbers = new long[capacity];
    pages = new long[capacity];
    startNanos = new long[capacity];
    sentIn = new int[capacity];
    damaged = new int[capacity];
    for (long number : before.all()) {
      move(number, before, before.slot(number));
    }
  }

  private OpenRequests copy() {
    OpenRequests copy = new OpenRequests();
    copy.numbers = numbers;
    copy.pages = pages;
    copy.startNanos = startNanos;
    copy.sentIn = sentIn;
    copy.damaged = damaged;
    return copy;
  }

  private void move(long number, OpenRequests before, int from) {
    int slot = slot(number);
    numbers[slot] = number;
    pages[slot] = before.pages[from];
    startNanos[slot] = before.startNanos[from];
    sentIn[slot] = before.sentIn[from];
    damaged[slot] = before.damaged[from];
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

  /**
   * Whether the caller is the one that sends it in an attempt: once in each, whoever comes first.
   */
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
    count--;
    return true;
  }

  /** The numbers of all that are open. */
  synchronized long[] all() {
    return Arrays.stream(numbers).filter(number -> number != 0).toArray();
  }

  synchronized int count() {
    return count;
  }

  private boolean isOpen(long number) {
    return number > 0 && numbers[slot(number)] == number;
  }

  private int slot(long number) {
    return (int) number & numbers.length - 1;
  }
}
