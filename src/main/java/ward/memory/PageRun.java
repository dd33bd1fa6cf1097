package ward.memory;

/**
 * Pages next to each other in a layout, by page index.
 *
 * @param firstPage page index, not negative
 * @param pageCount at least 1
 */
public record PageRun(long firstPage, long pageCount) {

  public PageRun {
    if (firstPage < 0 || pageCount < 1 || firstPage + pageCount < 0) {
      throw new IllegalArgumentException(
          "a run of %d pages from page %d".formatted(pageCount, firstPage));
    }
  }

  /** The page index after the last page. */
  public long endPage() {
    return firstPage + pageCount;
  }
}
