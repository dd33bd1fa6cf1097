package ward.memory;

import java.util.function.Consumer;
import java.util.function.LongConsumer;
import org.roaringbitmap.longlong.LongIterator;
import org.roaringbitmap.longlong.Roaring64Bitmap;

/** A set of pages, by number. Compressed; not safe for use by several threads at once. */
public final class PageSet {

  /** Roaring64Bitmap 1.6 takes milliseconds to add a range of a few pages, and less for more. */
  private static final long RANGE_PAGES_MIN = 256;

  private final Roaring64Bitmap pages = new Roaring64Bitmap();

  /** Adds one page. */
  public void add(long page) {
    pages.addLong(page);
  }

  /** Adds pages next to each other. */
  public void add(PageRun run) {
    if (run.pageCount() >= RANGE_PAGES_MIN) {
      pages.addRange(run.firstPage(), run.endPage());
      return;
    }
    for (long page = run.firstPage(); page < run.endPage(); page++) {
      pages.addLong(page);
    }
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

  public boolean contains(long page) {
    return pages.contains(page);
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

  @Override
  public boolean equals(Object other) {
    return other instanceof PageSet that && pages.equals(that.pages);
  }

  @Override
  public int hashCode() {
    return pages.hashCode();
  }

  @Override
  public String toString() {
    return pages.toString();
  }
}
