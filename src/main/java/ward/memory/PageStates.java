package ward.memory;

import java.util.concurrent.atomic.AtomicLongArray;
import java.util.concurrent.atomic.AtomicReferenceArray;
import java.util.function.Consumer;

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
  private static final int PAGES_PER_WORD = 1 << PAGES_PER_WORD_SHIFT;
  private static final int WORDS_PER_SEGMENT_SHIFT = 14;
  private static final int SEGMENT_SHIFT = PAGES_PER_WORD_SHIFT + WORDS_PER_SEGMENT_SHIFT;
  private static final long STATE_MASK = STATES - 1;
  private static final long LOWER_BITS = 0x5555_5555_5555_5555L;

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
      long moved = moveLeadingInWord(page, (int) asked, expected, next);
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
  private long moveLeadingInWord(long page, int pages, int expected, int next) {
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
    long others = ~pagesIn(word, states) & LOWER_BITS;
    return Long.numberOfTrailingZeros(others >>> bit) >>> 1;
  }

  private static long moved(long word, long page, int pages, int next) {
    long mask = -1L >>> Long.SIZE - 2 * pages << bitOf(page);
    return word & ~mask | LOWER_BITS * next & mask;
  }

  /**
   * Moves those pages of a run that are in one of several states to another, 32 pages by one
   * compare-and-set.
   *
   * @param expected the states that may be left: bit s for state s
   * @param moved told of the pages that this call moved, as runs in ascending order
   */
  public void compareAndSetAll(PageRun run, int expected, int next, Consumer<PageRun> moved) {
    MovedRuns runs = new MovedRuns(moved);
    long page = run.firstPage();
    while (page < run.endPage()) {
      long end = Math.min(run.endPage(), (page | PAGES_PER_WORD - 1) + 1);
      long pages = moveAllInWord(page, (int) (end - page), expected, next);
      runs.add(page, (int) (end - page), pages);
      page = end;
    }
    runs.end();
  }

  /** Answers the pages that were moved: the lower bit of each one's state. */
  private long moveAllInWord(long firstPage, int count, int expected, int next) {
    AtomicLongArray segment = segmentFor(firstPage);
    int word = wordOf(firstPage);
    long asked = (count == PAGES_PER_WORD ? -1L : (1L << 2 * count) - 1) << bitOf(firstPage);
    while (true) {
      long before = segment.get(word);
      long pages = pagesIn(before, expected) & asked;
      long after = before & ~(pages * STATE_MASK) | pages * next;
      if (segment.compareAndSet(word, before, after)) {
        return pages >>> bitOf(firstPage);
      }
    }
  }

  /** The lower bit of each page's state where the page is in one of the states. */
  private static long pagesIn(long word, int states) {
    long pages = 0;
    for (int state = 0; state < STATES; state++) {
      if ((states >>> state & 1) != 0) {
        long differs = word ^ LOWER_BITS * state;
        pages |= ~(differs | differs >>> 1) & LOWER_BITS;
      }
    }
    return pages;
  }

  /** Joins what was moved word by word. */
  private static final class MovedRuns {
    private final Consumer<PageRun> to;
    private long first;
    private long end; // equals first while there is no run

    MovedRuns(Consumer<PageRun> to) {
      this.to = to;
    }

    /**
     * @param pages of those that were asked for the ones that moved, as their lower bits
     */
    void add(long firstPage, int count, long pages) {
      long rest = pages;
      int at = 0;
      while (rest != 0) {
        int gap = Long.numberOfTrailingZeros(rest) >>> 1;
        int length =
            Math.min(count, Long.numberOfTrailingZeros(~(rest >>> 2 * gap | ~LOWER_BITS)) >>> 1);
        add(firstPage + at + gap, length);
        at += gap + length;
        rest = at < PAGES_PER_WORD ? pages >>> 2 * at : 0;
      }
    }

    private void add(long page, int count) {
      if (page != end) {
        end();
        first = page;
      }
      end = page + count;
    }

    void end() {
      if (end > first) {
        to.accept(new PageRun(first, end - first));
      }
      first = end;
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
