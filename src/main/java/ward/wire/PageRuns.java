package ward.wire;

import ward.memory.GuestRegion;
import ward.memory.PageRun;
import ward.memory.PageSet;
import ward.memory.Pages;
import ward.wire.proto.WireProto;

/**
 * The page sets of one message as runs, and back; counts what they hold together.
 *
 * <p>Both counts are bounded: a few bytes can describe a run that takes gigabytes to hold.
 */
final class PageRuns {

  private static final long PAGE_NUMBERS = GuestRegion.MAX_ADDRESS >>> Pages.SHIFT;

  private long runs;
  private long pages;

  WireProto.PageRuns toProto(PageSet set) {
    WireProto.PageRuns.Builder proto = WireProto.PageRuns.newBuilder();
    long[] end = {0};
    set.forEachRun(
        run -> {
          count(run);
          proto.addGapAndCount(run.firstPage() - end[0]).addGapAndCount(run.pageCount());
          end[0] = run.endPage();
        });
    return proto.build();
  }

  PageSet fromProto(WireProto.PageRuns proto) {
    if (proto.getGapAndCountCount() % 2 != 0) {
      throw new IllegalArgumentException(
          "%d numbers for runs of pages; an even count is needed"
              .formatted(proto.getGapAndCountCount()));
    }
    PageSet set = new PageSet();
    long end = 0;
    for (int i = 0; i < proto.getGapAndCountCount(); i += 2) {
      PageRun run = runAfter(end, proto.getGapAndCount(i), proto.getGapAndCount(i + 1));
      set.add(run);
      end = run.endPage();
    }
    return set;
  }

  private PageRun runAfter(long end, long gap, long pageCount) {
    // Each is bounded alone first, so that no sum can overflow.
    if (Long.compareUnsigned(gap, PAGE_NUMBERS) > 0
        || Long.compareUnsigned(pageCount, PAGE_NUMBERS) > 0
        || pageCount == 0
        || end + gap + pageCount > PAGE_NUMBERS) {
      throw new IllegalArgumentException(
          "a run of %s pages, %s pages after page %d; 1 or more pages below page 2^40 are allowed"
              .formatted(Long.toUnsignedString(pageCount), Long.toUnsignedString(gap), end));
    }
    PageRun run = new PageRun(end + gap, pageCount);
    count(run);
    return run;
  }

  private void count(PageRun run) {
    runs++;
    pages += run.pageCount();
    if (runs > ControlMessage.RUNS_MAX || pages > ControlMessage.SET_PAGES_MAX) {
      throw new IllegalArgumentException(
          "page sets of at least %d runs and %d pages; at most %d and %d in a message"
              .formatted(runs, pages, ControlMessage.RUNS_MAX, ControlMessage.SET_PAGES_MAX));
    }
  }
}
