package ward.memory;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.concurrent.atomic.AtomicReferenceArray;
import java.util.function.Consumer;

/**
 * Two bits for every page of a guest, changed by compare-and-set from any thread.
 *
 * <p>Words of 32 pages in segments of 8 GiB of guest memory. A segment is made when one of its
 * pages first leaves state 0, so the table of a 16 TiB guest costs 8 KiB until pages arrive, and
 * its page numbers, which exceed an int, never index anything.
 *
 * <p>The words lie outside the Java heap, and go when nobody can reach the table any more. On the
 * heap those of a 12 TiB guest would be 768 MiB that live as long as the migration: a collector
 * copies them when it compacts, and a heap of 128 MiB would not hold them. They count against
 * {@code -XX:MaxDirectMemorySize}, which is the size of the heap unless it is set.
 */
public final class PageStates {

  /** States are 0 to 3. */
  public static final int STATES = 4;

  private static final int PAGES_PER_WORD_SHIFT = 5;
  private static final int PAGES_PER_WORD = 1 << PAGES_PER_WORD_SHIFT;
  private static final int WORDS_PER_SEGMENT_SHIFT = 16;
  private static final int SEGMENT_SHIFT = PAGES_PER_WORD_SHIFT + WORDS_PER_SEGMENT_SHIFT;
  private static final long NONE = -1;
  private static final long STATE_MASK = STATES - 1;
  private static final long LOWER_BITS = 0x5555_5555_5555_5555L;

  private static final VarHandle WORDS =
      MethodHandles.byteBufferViewVarHandle(long[].class, ByteOrder.nativeOrder());

  private final long pageCount;
  private final AtomicReferenceArray<ByteBuffer> segments;

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

  /** What a table takes once every page has left state 0, in bytes outside the heap. */
  static long bytesFor(long pageCount) {
    return (pageCount + PAGES_PER_WORD - 1 >>> PAGES_PER_WORD_SHIFT) * Long.BYTES;
  }

  private static long segmentsFor(long pageCount) {
    return (pageCount + (1L << SEGMENT_SHIFT) - 1) >>> SEGMENT_SHIFT;
  }

  public long pageCount() {
    return pageCount;
  }

  /** A page's state, 0 to 3. */
  public int get(long page) {
    ByteBuffer segment = segments.get(segmentOf(page));
    return segment == null ? 0 : stateIn(word(segment, page), page);
  }

  /**
   * Moves a page from one state to another, unless it has left the first one.
   *
   * @return whether this call moved it: of several threads that try, one is told true
   */
  public boolean compareAndSet(long page, int expected, int next) {
    ByteBuffer segment = segmentFor(page);
    while (true) {
      long before = word(segment, page);
      if (stateIn(before, page) != expected) {
        return false;
      }
      if (replace(segment, page, before, withState(before, page, next))) {
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
    return PAGES_PER_WORD - (page & PAGES_PER_WORD - 1);
  }

  /** Of several threads that try, each page is moved by one, as with one page at a time. */
  private long moveLeadingInWord(long page, int pages, int expected, int next) {
    ByteBuffer segment = segmentFor(page);
    while (true) {
      long before = word(segment, page);
      // The stream's usual word, in which nothing has happened: told in a tenth of the bytecodes,
      // as most of a stream is over before they are compiled.
      boolean fresh = before == 0 && (expected & 1) != 0;
      int moved = fresh ? pages : Math.min(pages, leadingIn(before, bitOf(page), expected));
      if (moved == 0 || replace(segment, page, before, moved(before, page, moved, next))) {
        return moved;
      }
    }
  }

  private static int leadingIn(long word, int bit, int states) {
    long others = ~pagesIn(word, states) & LOWER_BITS;
    return Long.numberOfTrailingZeros(others >>> bit) >>> 1;
  }

  /** Both bits of pages next to each other in one word, at least one. */
  private static long maskOf(long firstPage, int pages) {
    return -1L >>> Long.SIZE - 2 * pages << bitOf(firstPage);
  }

  private static long moved(long word, long page, int pages, int next) {
    long mask = maskOf(page, pages);
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
      int asked = (int) Math.min(run.endPage() - page, leftInWord(page));
      runs.add(page, asked, moveAllInWord(page, asked, expected, next));
      page += asked;
    }
    runs.end();
  }

  /** Answers the pages that were moved: the lower bit of each one's state. */
  private long moveAllInWord(long firstPage, int count, int expected, int next) {
    ByteBuffer segment = segmentFor(firstPage);
    long asked = maskOf(firstPage, count);
    while (true) {
      long before = word(segment, firstPage);
      long pages = pagesIn(before, expected) & asked;
      long after = before & ~(pages * STATE_MASK) | pages * next;
      if (replace(segment, firstPage, before, after)) {
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

  /**
   * The first page from one on that is in one of the states, 32 pages at a look; those that are all
   * in state 0 because nothing was ever moved there, a segment at a look.
   *
   * @param states bit N stands for state N
   * @return {@code endPage} if there is none before it
   */
  public long next(long firstPage, long endPage, int states) {
    long page = firstPage;
    while (page < endPage) {
      long found = nextInWord(page, states);
      if (found != NONE) {
        return Math.min(found, endPage);
      }
      page = isUntouched(page) ? endOfSegment(page) : page + leftInWord(page);
    }
    return endPage;
  }

  private boolean isUntouched(long page) {
    return segments.get(segmentOf(page)) == null;
  }

  private static long endOfSegment(long page) {
    return (page >>> SEGMENT_SHIFT) + 1 << SEGMENT_SHIFT;
  }

  private long nextInWord(long page, int states) {
    ByteBuffer segment = segments.get(segmentOf(page));
    long word = segment == null ? 0 : word(segment, page);
    long found = pagesIn(word, states) >>> bitOf(page);
    return found == 0 ? NONE : page + (Long.numberOfTrailingZeros(found) >>> 1);
  }

  /** Bytes that its words take now, outside the heap. */
  public long wordBytes() {
    long bytes = 0;
    for (int i = 0; i < segments.length(); i++) {
      ByteBuffer segment = segments.get(i);
      bytes += segment == null ? 0 : segment.capacity();
    }
    return bytes;
  }

  private ByteBuffer segmentFor(long page) {
    int index = segmentOf(page);
    ByteBuffer segment = segments.get(index);
    if (segment == null) {
      segments.compareAndSet(index, null, newSegment(index));
      segment = segments.get(index);
    }
    return segment;
  }

  /** The last one is as long as it has to be: most guests have no other. */
  private ByteBuffer newSegment(int index) {
    long pages = Math.min(1L << SEGMENT_SHIFT, pageCount - ((long) index << SEGMENT_SHIFT));
    long words = pages + (1L << PAGES_PER_WORD_SHIFT) - 1 >>> PAGES_PER_WORD_SHIFT;
    return ByteBuffer.allocateDirect((int) words * Long.BYTES);
  }

  private static long word(ByteBuffer segment, long page) {
    return (long) WORDS.getVolatile(segment, placeOf(page));
  }

  private static boolean replace(ByteBuffer segment, long page, long before, long after) {
    return WORDS.compareAndSet(segment, placeOf(page), before, after);
  }

  private int segmentOf(long page) {
    if (page < 0 || page >= pageCount) {
      throw new IndexOutOfBoundsException("page %d of %d".formatted(page, pageCount));
    }
    return (int) (page >>> SEGMENT_SHIFT);
  }

  /** In bytes, of the word. */
  private static int placeOf(long page) {
    int word = (int) (page >>> PAGES_PER_WORD_SHIFT) & ((1 << WORDS_PER_SEGMENT_SHIFT) - 1);
    return word << 3;
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
