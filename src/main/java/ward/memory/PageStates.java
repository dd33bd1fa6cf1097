package ward.memory;

import java.util.concurrent.atomic.AtomicLongArray;
import java.util.concurrent.atomic.AtomicReferenceArray;

/**
 * Two bits for every page of a guest, changed by compare-and-set from any thread.
 *
 * <p>Words of 32 pages in segments of 2 GiB of guest memory. A segment is made when one of its
 * pages first leaves state 0, so the table of a 16 TiB guest costs 64 KiB until pages arrive, and
 * its page numbers, which exceed an int, never index an array.
 */
public final class PageStates {

  /** States are 0 to 3. */
  public static final int STATES = 4;

  private static final int PAGES_PER_WORD_SHIFT = 5;
  private static final int WORDS_PER_SEGMENT_SHIFT = 14;
  private static final int SEGMENT_SHIFT = PAGES_PER_WORD_SHIFT + WORDS_PER_SEGMENT_SHIFT;
  private static final long STATE_MASK = STATES - 1;

  private final long pageCount;
  private final AtomicReferenceArray<AtomicLongArray> segments;

  /**
   * Every page starts in state 0.
   *
   * @param pageCount at most 2^48, the pages of a machine that addresses 2^60 bytes
   */
  public PageStates(long pageCount) {
    if (pageCount < 0 || pageCount > 1L << 48) {
      throw new IllegalArgumentException("a table of %d pages".formatted(pageCount));
    }
    this.pageCount = pageCount;
    this.segments = new AtomicReferenceArray<>(Math.toIntExact(segmentsFor(pageCount)));
  }

  private static long segmentsFor(long pageCount) {
    return (pageCount + (1L << SEGMENT_SHIFT) - 1) >>> SEGMENT_SHIFT;
  }

  public long pageCount() {
    return pageCount;
  }

  /** A page's state, 0 to 3. */
  public int get(long page) {
    AtomicLongArray segment = segments.get(segmentOf(page));
    return segment == null ? 0 : stateIn(segment.get(wordOf(page)), page);
  }

  /**
   * Moves a page from one state to another, unless it has left the first one.
   *
   * @return whether this call moved it: of several threads that try, one is told true
   */
  public boolean compareAndSet(long page, int expected, int next) {
    AtomicLongArray segment = segmentFor(page);
    int word = wordOf(page);
    while (true) {
      long before = segment.get(word);
      if (stateIn(before, page) != expected) {
        return false;
      }
      if (segment.compareAndSet(word, before, withState(before, page, next))) {
        return true;
      }
    }
  }

  private AtomicLongArray segmentFor(long page) {
    int index = segmentOf(page);
    AtomicLongArray segment = segments.get(index);
    if (segment == null) {
      segments.compareAndSet(index, null, new AtomicLongArray(1 << WORDS_PER_SEGMENT_SHIFT));
      segment = segments.get(index);
    }
    return segment;
  }

  private int segmentOf(long page) {
    if (page < 0 || page >= pageCount) {
      throw new IndexOutOfBoundsException("page %d of %d".formatted(page, pageCount));
    }
    return (int) (page >>> SEGMENT_SHIFT);
  }

  private static int wordOf(long page) {
    return (int) (page >>> PAGES_PER_WORD_SHIFT) & ((1 << WORDS_PER_SEGMENT_SHIFT) - 1);
  }

  private static int bitOf(long page) {
    return (int) (page & ((1 << PAGES_PER_WORD_SHIFT) - 1)) << 1;
  }

  private static int stateIn(long word, long page) {
    return (int) (word >>> bitOf(page) & STATE_MASK);
  }

  private static long withState(long word, long page, int state) {
    return word & ~(STATE_MASK << bitOf(page)) | (long) state << bitOf(page);
  }
}
