package ward.memory;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.NavigableMap;
import java.util.TreeMap;
import java.util.function.Consumer;
import java.util.function.LongConsumer;
import java.util.stream.Collectors;
import org.roaringbitmap.IntConsumer;
import org.roaringbitmap.RoaringBitmap;

/**
 * A set of pages, by number. Compressed; not safe for use by several threads at once.
 *
 * <p>What goes through it by runs takes time for each run and each 65,536 pages, never for each
 * page: a guest of 12 TiB has 3.2 billion.
 */
public final class PageSet {

  private static final int RUNS_IN_TEXT = 8;
  private static final long NONE = -1;
  private static final long PART_PAGES = 1L << 32;

  // By the upper half of the page number; none is empty. Not Roaring64Bitmap, whose addRange takes
  // milliseconds for a single page, and not Roaring64NavigableMap, which finds the end of a run
  // only
  // page by page (RoaringBitmap 1.6.29).
  private final NavigableMap<Integer, RoaringBitmap> parts = new TreeMap<>();

  private static int partOf(long page) {
    return (int) (page >>> 32);
  }

  private RoaringBitmap part(long page) {
    return parts.computeIfAbsent(partOf(page), upper -> new RoaringBitmap());
  }

  /** Adds one page. */
  public void add(long page) {
    part(page).add((int) page);
  }

  /** Adds pages next to each other. */
  public void add(PageRun run) {
    long first = run.firstPage();
    while (first < run.endPage()) {
      long start = first & -PART_PAGES;
      long end = Math.min(run.endPage(), start + PART_PAGES);
      part(first).add(first - start, end - start);
      first = end;
    }
  }

  /** Adds every page of another set. */
  public void addAll(PageSet other) {
    other.parts.forEach(
        (upper, theirs) -> {
          RoaringBitmap ours = parts.get(upper);
          if (ours == null) {
            parts.put(upper, theirs.clone());
          } else {
            ours.or(theirs);
          }
        });
  }

  /** Takes out one page. */
  public void remove(long page) {
    RoaringBitmap part = parts.get(partOf(page));
    if (part != null) {
      part.remove((int) page);
      dropEmpty();
    }
  }

  /** Takes out every page of another set. */
  public void removeAll(PageSet other) {
    parts.forEach((upper, ours) -> ours.andNot(other.partAt(upper)));
    dropEmpty();
  }

  /** Takes out every page that is not in the other set. */
  public void retainAll(PageSet other) {
    parts.forEach((upper, ours) -> ours.and(other.partAt(upper)));
    dropEmpty();
  }

  /** Not to be changed. */
  private RoaringBitmap partAt(int upper) {
    RoaringBitmap part = parts.get(upper);
    return part == null ? new RoaringBitmap() : part;
  }

  private void dropEmpty() {
    parts.values().removeIf(RoaringBitmap::isEmpty);
  }

  public boolean contains(long page) {
    RoaringBitmap part = parts.get(partOf(page));
    return part != null && part.contains((int) page);
  }

  /** How many pages it holds. */
  public long size() {
    return parts.values().stream().mapToLong(RoaringBitmap::getLongCardinality).sum();
  }

  public boolean isEmpty() {
    return parts.isEmpty();
  }

  /** Every page, ascending. */
  public void forEach(LongConsumer action) {
    parts.forEach(
        (upper, part) -> {
          long start = (long) upper << 32;
          part.forEach((IntConsumer) low -> action.accept(start + Integer.toUnsignedLong(low)));
        });
  }

  /** The pages as the fewest runs, ascending. */
  public void forEachRun(Consumer<PageRun> action) {
    long first = next(0);
    while (first != NONE) {
      long end = nextAbsent(first);
      action.accept(new PageRun(first, end - first));
      first = next(end);
    }
  }

  /** The first page of the set from one on; -1 if there is none. */
  private long next(long page) {
    for (Map.Entry<Integer, RoaringBitmap> part : parts.tailMap(partOf(page)).entrySet()) {
      long start = (long) part.getKey() << 32;
      long low = part.getValue().nextValue((int) Math.max(0, page - start));
      if (low >= 0) {
        return start + low;
      }
    }
    return NONE;
  }

  /** The first page from one on that is not in the set. */
  private long nextAbsent(long page) {
    long absent = page;
    RoaringBitmap part = parts.get(partOf(absent));
    while (part != null) {
      long start = absent & -PART_PAGES;
      long low = part.nextAbsentValue((int) absent);
      if (low >= 0) {
        return start + low;
      }
      absent = start + PART_PAGES;
      part = parts.get(partOf(absent));
    }
    return absent;
  }

  /**
   * How many pages next to each other, from one on, are in the set, or are not.
   *
   * @param in which of both
   * @param most the answer's limit
   */
  public long leading(long firstPage, long most, boolean in) {
    long end = in ? nextAbsent(firstPage) : next(firstPage);
    return end == NONE ? most : Math.min(most, end - firstPage);
  }

  /** A set of the same pages that changes on its own. */
  public PageSet copy() {
    PageSet copy = new PageSet();
    copy.addAll(this);
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
