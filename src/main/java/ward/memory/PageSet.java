package ward.memory;

import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.NoSuchElementException;
import java.util.TreeMap;
import java.util.function.Consumer;
import java.util.function.LongConsumer;
import java.util.stream.Collectors;
import org.roaringbitmap.Container;
import org.roaringbitmap.ContainerPointer;
import org.roaringbitmap.RoaringBitmap;

/** A set of pages, by number. Compressed; not safe for use by several threads at once. */
public final class PageSet {

  private static final int RUNS_IN_TEXT = 8;
  private static final int NONE = -1;
  private static final int LOWER_BITS = 32;
  private static final long NUMBERS = 1L << LOWER_BITS;

  // By the upper bits of the number, never empty. Not Roaring64Bitmap: its addRange takes
  // milliseconds for a single page (RoaringBitmap 1.6.29). Not Roaring64NavigableMap: it knows no
  // runs, and one of a terabyte would be looked at page by page.
  private final TreeMap<Integer, RoaringBitmap> parts = new TreeMap<>();

  /** Adds one page. */
  public void add(long page) {
    partFor(upper(page)).add((int) page);
  }

  private RoaringBitmap partFor(int upper) {
    return parts.computeIfAbsent(upper, key -> new RoaringBitmap());
  }

  private static int upper(long page) {
    return (int) (page >>> LOWER_BITS);
  }

  /** Adds pages next to each other. */
  public void add(PageRun run) {
    long page = run.firstPage();
    while (page < run.endPage()) {
      long first = page & NUMBERS - 1;
      long count = Math.min(run.endPage() - page, NUMBERS - first);
      partFor(upper(page)).add(first, first + count);
      page += count;
    }
  }

  /** Adds every page of another set. */
  public void addAll(PageSet other) {
    other.parts.forEach((upper, part) -> partFor(upper).or(part));
  }

  /** Takes out one page. */
  public void remove(long page) {
    RoaringBitmap part = parts.get(upper(page));
    if (part != null) {
      part.remove((int) page);
      if (part.isEmpty()) {
        parts.remove(upper(page));
      }
    }
  }

  /** Takes out every page of another set. */
  public void removeAll(PageSet other) {
    if (other == this) {
      parts.clear();
    }
    keep((part, same) -> part.andNot(same), other);
  }

  /** Takes out every page that is not in the other set. */
  public void retainAll(PageSet other) {
    parts.keySet().retainAll(other.parts.keySet());
    keep((part, same) -> part.and(same), other);
  }

  /** One part's content, after another's had its say. */
  private interface Change {
    void make(RoaringBitmap part, RoaringBitmap by);
  }

  private void keep(Change change, PageSet other) {
    for (Iterator<Map.Entry<Integer, RoaringBitmap>> all = parts.entrySet().iterator();
        all.hasNext(); ) {
      Map.Entry<Integer, RoaringBitmap> entry = all.next();
      RoaringBitmap by = other.parts.get(entry.getKey());
      if (by != null) {
        change.make(entry.getValue(), by);
        if (entry.getValue().isEmpty()) {
          all.remove();
        }
      }
    }
  }

  public boolean contains(long page) {
    RoaringBitmap part = parts.get(upper(page));
    return part != null && part.contains((int) page);
  }

  /**
   * The lowest page.
   *
   * @throws NoSuchElementException if there is none
   */
  public long first() {
    Map.Entry<Integer, RoaringBitmap> lowest = parts.firstEntry();
    if (lowest == null) {
      throw new NoSuchElementException("an empty set has no lowest page");
    }
    return whole(lowest.getKey(), lowest.getValue().first());
  }

  private static long whole(int upper, int lower) {
    return (long) upper << LOWER_BITS | Integer.toUnsignedLong(lower);
  }

  /** How many pages it holds. */
  public long size() {
    long size = 0;
    for (RoaringBitmap part : parts.values()) {
      size += part.getLongCardinality();
    }
    return size;
  }

  public boolean isEmpty() {
    return parts.isEmpty();
  }

  /** Every page, ascending. */
  public void forEach(LongConsumer action) {
    parts.forEach((upper, part) -> part.forEach((int lower) -> action.accept(whole(upper, lower))));
  }

  /**
   * The pages as the fewest runs, ascending. By the library's containers of 65,536 pages: to ask
   * its bitmap for each run's ends takes 1.3 times as long.
   */
  public void forEachRun(Consumer<PageRun> action) {
    long first = 0;
    long end = 0; // equals first while there is no run
    for (Map.Entry<Integer, RoaringBitmap> entry : parts.entrySet()) {
      ContainerPointer pointer = entry.getValue().getContainerPointer();
      for (Container some = pointer.getContainer(); some != null; some = pointer.getContainer()) {
        long zero = whole(entry.getKey(), pointer.key() << Character.SIZE);
        for (int at = some.first(); at >= 0; ) {
          int after = some.nextAbsentValue((char) at);
          if (zero + at != end) {
            accept(first, end, action);
            first = zero + at;
          }
          end = zero + after;
          at = after > Character.MAX_VALUE ? NONE : some.nextValue((char) after);
        }
        pointer.advance();
      }
    }
    accept(first, end, action);
  }

  private static void accept(long first, long end, Consumer<PageRun> action) {
    if (end > first) {
      action.accept(new PageRun(first, end - first));
    }
  }

  /**
   * How many pages next to each other, from one on, are in the set, or are not.
   *
   * @param in which of both
   * @param most the answer's limit
   */
  public long leading(long firstPage, long most, boolean in) {
    return Math.min(most, (in ? nextAbsent(firstPage) : next(firstPage)) - firstPage);
  }

  /** The first page of the set from one on; the highest number if there is none. */
  private long next(long page) {
    for (Map.Entry<Integer, RoaringBitmap> entry : parts.tailMap(upper(page)).entrySet()) {
      int from = entry.getKey() == upper(page) ? (int) page : 0;
      long lower = entry.getValue().nextValue(from);
      if (lower >= 0) {
        return whole(entry.getKey(), (int) lower);
      }
    }
    return Long.MAX_VALUE;
  }

  /** The first page from one on that is not in the set. */
  private long nextAbsent(long page) {
    long absent = page;
    RoaringBitmap part = parts.get(upper(absent));
    while (part != null) {
      long lower = part.nextAbsentValue((int) absent);
      if (lower >= 0) {
        return whole(upper(absent), (int) lower);
      }
      absent = (absent | NUMBERS - 1) + 1;
      part = parts.get(upper(absent));
    }
    return absent;
  }

  /** A set of the same pages that changes on its own. */
  public PageSet copy() {
    PageSet copy = new PageSet();
    parts.forEach((upper, part) -> copy.parts.put(upper, part.clone()));
    return copy;
  }

  // By runs, because the library's own comparison sees how a set is compressed: the same pages,
  // added one by one or as a run, have different hash codes there.
  private List<PageRun> runs() {
    List<PageRun> runs = new ArrayList<>();
    forEachRun(runs::add);
    return runs;
  }

  @Override
  public boolean equals(Object other) {
    return other instanceof PageSet that && size() == that.size() && runs().equals(that.runs());
  }

  @Override
  public int hashCode() {
    return runs().hashCode();
  }

  /** The number of pages, and the first few runs. */
  @Override
  public String toString() {
    List<PageRun> runs = runs();
    String text =
        runs.stream().limit(RUNS_IN_TEXT).map(PageSet::text).collect(Collectors.joining(", "));
    return "%d pages {%s%s}".formatted(size(), text, runs.size() > RUNS_IN_TEXT ? ", ..." : "");
  }

  private static String text(PageRun run) {
    return run.pageCount() == 1
        ? Long.toString(run.firstPage())
        : run.firstPage() + ".." + (run.endPage() - 1);
  }
}
