package ward.memory;

import java.util.ArrayList;
import java.util.List;
import java.util.NoSuchElementException;
import java.util.function.Consumer;
import java.util.function.LongConsumer;
import java.util.stream.Collectors;
import org.roaringbitmap.longlong.LongIterator;
import org.roaringbitmap.longlong.Roaring64NavigableMap;

/** A set of pages, by number. Compressed; not safe for use by several threads at once. */
public final class PageSet {

  private static final int RUNS_IN_TEXT = 8;

  // Not Roaring64Bitmap: its addRange takes milliseconds for a single page (RoaringBitmap 1.6.29).
  private final Roaring64NavigableMap pages = new Roaring64NavigableMap();

  /** Adds one page. */
  public void add(long page) {
    pages.addLong(page);
  }

  /** Adds pages next to each other. */
  public void add(PageRun run) {
    pages.addRange(run.firstPage(), run.endPage());
  }

  /** Adds every page of another set. */
  public void addAll(PageSet other) {
    pages.or(other.pages);
  }

  /** Takes out one page. */
  public void remove(long page) {
    pages.removeLong(page);
  }

  /** Takes out every page of another set. */
  public void removeAll(PageSet other) {
    pages.andNot(other.pages);
  }

  /** Takes out every page that is not in the other set. */
  public void retainAll(PageSet other) {
    pages.and(other.pages);
  }

  public boolean contains(long page) {
    return pages.contains(page);
  }

  /**
   * The lowest page.
   *
   * @throws NoSuchElementException if there is none
   */
  public long first() {
    return pages.getLongIterator().next();
  }

  /** How many pages it holds. */
  public long size() {
    return pages.getLongCardinality();
  }

  public boolean isEmpty() {
    return pages.isEmpty();
  }

  /** Every page, ascending. */
  public void forEach(LongConsumer action) {
    pages.forEach(action::accept);
  }

  /** The pages as the fewest runs, ascending. */
  public void forEachRun(Consumer<PageRun> action) {
    LongIterator iterator = pages.getLongIterator();
    if (!iterator.hasNext()) {
      return;
    }
    long first = iterator.next();
    long end = first + 1;
    while (iterator.hasNext()) {
      long page = iterator.next();
      if (page != end) {
        action.accept(new PageRun(first, end - first));
        first = page;
      }
      end = page + 1;
    }
    action.accept(new PageRun(first, end - first));
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
