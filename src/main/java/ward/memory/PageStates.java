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

  /** The lower bit of every page of a word. */
  private static final long EACH = 0x5555_5555_5555_5555L;

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

  /**
   * Moves pages next to each other, up to the first one that may not be moved; with one
   * compare-and-set for each 32 of them.
   *
   * @param expected the states that may be left: bit N stands for state N
   * @return how many of the run's leading pages this call moved
   */
  public long moveLeading(long firstPage, long endPage, int expected, int next) {
    long page = firstPage;
    while (page < endPage) {
      long asked = Math.min(endPage - page, leftInWord(page));
      long moved = moveInWord(page, (int) asked, expected, next);
      page += moved;
      if (moved < asked) {
        return page - firstPage;
      }
    }
    return page - firstPage;
  }

  private static long leftInWord(long page) {
    long inWord = 1L << PAGES_PER_WORD_SHIFT;
    return inWord - (page & inWord - 1);
  }

  /** Of several threads that try, each page is moved by one, as with one page at a time. */
  private long moveInWord(long page, int pages, int expected, int next) {
    AtomicLongArray segment = segmentFor(page);
    int word = wordOf(page);
    while (true) {
      long before = segment.get(word);
      // The stream's usual word, in which nothing has happened: told in a tenth of the bytecodes,
      // as most of a stream is over before they are compiled.
      boolean fresh = before == 0 && (expected & 1) != 0;
      int moved = fresh ? pages : Math.min(pages, leadingIn(before, bitOf(page), expected));
      if (moved == 0 || segment.compareAndSet(word, before, moved(before, page, moved, next))) {
        return moved;
      }
    }
  }

  private static int leadingIn(long word, int bit, int states) {
    long others = ~pagesIn(word, states) & EACH;
    return Long.numberOfTrailingZeros(others >>> bit) >>> 1;
  }

  /** The lower bit of every page that is in one of the states. */
  private static long pagesIn(long word, int states) {
    long pages = 0;
    for (int state = 0; state < STATES; state++) {
      if ((states >>> state & 1) != 0) {
        long differing = word ^ EACH * state;
        pages |= ~(differing | differing >>> 1) & EACH;
      }
    }
    return pages;
  }

  private static long moved(long word, long page, int pages, int next) {
    long mask = -1L >>> Long.SIZE - 2 * pages << bitOf(page);
    return word & ~mask | EACH * next & mask;
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
