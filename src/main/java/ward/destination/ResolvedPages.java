package ward.destination;

import java.util.ArrayList;
import java.util.List;
import ward.memory.GuestLayout;
import ward.memory.PageRun;
import ward.memory.PageSet;
import ward.memory.Pages;
import ward.wire.ControlMessage;
import ward.wire.ControlMessage.RecoveryPart;

/**
 * What a destination has of its guest, as it tells a source after a break: which pages hold their
 * content, and which are lost with the entry on disk. The rest is missing here, or on its way to
 * the disk; the source says it again.
 */
final class ResolvedPages {

  private final List<RecoveryPart> parts = new ArrayList<>();
  private PageSet present = new PageSet();
  private PageSet poisoned = new PageSet();
  private int runs;
  private long pages;
  private long presentPages;

  private ResolvedPages() {}

  /**
   * @param poisonedFrames guest frame numbers
   */
  static ResolvedPages of(GuestLayout layout, PageTable table, PageSet poisonedFrames) {
    ResolvedPages resolved = new ResolvedPages();
    resolved.addPresent(layout, table);
    poisonedFrames.forEachRun(run -> resolved.add(run, false));
    resolved.endPart();
    return resolved;
  }

  List<RecoveryPart> parts() {
    return parts;
  }

  /** Pages in all parts that hold their content. */
  long presentPages() {
    return presentPages;
  }

  private void addPresent(GuestLayout layout, PageTable table) {
    long page = 0;
    while (page < table.pageCount()) {
      long regionEnd = page + layout.pagesLeftInRegion(page);
      page = table.nextPresent(page, regionEnd);
      while (page < regionEnd) {
        long end = table.nextAbsent(page, regionEnd);
        add(new PageRun(layout.addressOf(page) >>> Pages.SHIFT, end - page), true);
        presentPages += end - page;
        page = table.nextPresent(end, regionEnd);
      }
    }
  }

  /** A message holds so many runs and pages; a longer run is cut. */
  private void add(PageRun run, boolean isPresent) {
    long first = run.firstPage();
    while (first < run.endPage()) {
      if (runs == ControlMessage.RUNS_MAX || pages == ControlMessage.SET_PAGES_MAX) {
        endPart();
      }
      long count = Math.min(run.endPage() - first, ControlMessage.SET_PAGES_MAX - pages);
      (isPresent ? present : poisoned).add(new PageRun(first, count));
      runs++;
      pages += count;
      first += count;
    }
  }

  private void endPart() {
    if (runs > 0) {
      parts.add(new RecoveryPart(present, poisoned));
      present = new PageSet();
      poisoned = new PageSet();
      runs = 0;
      pages = 0;
    }
  }
}
