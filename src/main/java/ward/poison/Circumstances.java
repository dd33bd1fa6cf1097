package ward.poison;

import ward.memory.PageRun;
import ward.memory.PageSet;
import ward.memory.Pages;

/**
 * What losses can have in common: everything but where they are.
 *
 * <p>An extent's number is its guest-physical address {@code >>> pageShift}.
 *
 * @param pageShift log2 of each lost extent in bytes, {@link PoisonEntry#MIN_PAGE_SHIFT} to {@link
 *     PoisonEntry#MAX_PAGE_SHIFT}
 */
public record Circumstances(int pageShift, Severity severity, Origin origin) {

  /**
   * @throws IllegalArgumentException if the extent's size is not allowed
   */
  public Circumstances {
    if (pageShift < PoisonEntry.MIN_PAGE_SHIFT || pageShift > PoisonEntry.MAX_PAGE_SHIFT) {
      throw new IllegalArgumentException(
          "page shift %d; %d to %d is allowed"
              .formatted(pageShift, PoisonEntry.MIN_PAGE_SHIFT, PoisonEntry.MAX_PAGE_SHIFT));
    }
  }

  static Circumstances of(PoisonEntry entry) {
    return new Circumstances(entry.pageShift(), entry.severity(), entry.origin());
  }

  /** The same of a single page. */
  Circumstances ofPages() {
    return pageShift == Pages.SHIFT ? this : new Circumstances(Pages.SHIFT, severity, origin);
  }

  /** One of the losses. */
  PoisonEntry entry(long extent) {
    return new PoisonEntry(extent << pageShift, pageShift, severity, origin);
  }

  /** The guest frames of extents next to each other. */
  public PageRun framesOf(PageRun extents) {
    int shift = pageShift - Pages.SHIFT;
    return new PageRun(extents.firstPage() << shift, extents.pageCount() << shift);
  }

  /** The guest frames of extents. Not always a copy. */
  PageSet framesOf(PageSet extents) {
    if (pageShift == Pages.SHIFT) {
      return extents;
    }
    PageSet frames = new PageSet();
    extents.forEachRun(run -> frames.add(framesOf(run)));
    return frames;
  }

  /** The extents to which at least one of these guest frames belongs. Not always a copy. */
  PageSet extentsOf(PageSet frames) {
    if (pageShift == Pages.SHIFT) {
      return frames;
    }
    int shift = pageShift - Pages.SHIFT;
    PageSet extents = new PageSet();
    frames.forEachRun(
        run -> {
          long first = run.firstPage() >>> shift;
          long last = run.endPage() - 1 >>> shift;
          extents.add(new PageRun(first, last - first + 1));
        });
    return extents;
  }
}
