package ward.wire;

import java.util.List;
import java.util.function.Consumer;
import java.util.function.LongConsumer;
import ward.memory.GuestRegion;
import ward.memory.PageRun;
import ward.memory.PageSet;
import ward.memory.Pages;
import ward.wire.proto.WireProto;

/**
 * The page sets of one message as runs, and back; counts what they hold together. What holds for
 * pages holds for larger extents, each of which counts as its pages.
 *
 * <p>Both counts are bounded: a few bytes can describe a run that takes gigabytes to hold.
 */
final class PageRuns {

  private long runs;
  private long pages;

  WireProto.PageRuns toProto(PageSet set) {
    WireProto.PageRuns.Builder proto = WireProto.PageRuns.newBuilder();
    write(set, Pages.SHIFT, proto::addGapAndCount);
    return proto.build();
  }

  /**
   * @param shift log2 of the size of what is in the set, in bytes
   */
  void write(PageSet set, int shift, LongConsumer numbers) {
    long[] end = {0};
    set.forEachRun(
        run -> {
          count(run, shift);
          numbers.accept(run.firstPage() - end[0]);
          numbers.accept(run.pageCount());
          end[0] = run.endPage();
        });
  }

  PageSet fromProto(WireProto.PageRuns proto) {
    PageSet set = new PageSet();
    read(proto.getGapAndCountList(), Pages.SHIFT, set::add);
    return set;
  }

  /**
   * @param shift log2 of the size of what is counted, in bytes
   * @param runs told of each run when it is known to be allowed
   */
  void read(List<Long> numbers, int shift, Consumer<PageRun> runs) {
    if (numbers.size() % 2 != 0) {
      throw new IllegalArgumentException(
          "%d numbers for runs of pages; an even count is needed".formatted(numbers.size()));
    }
    long end = 0;
    for (int i = 0; i < numbers.size(); i += 2) {
      PageRun run = runAfter(end, numbers.get(i), numbers.get(i + 1), shift);
      runs.accept(run);
      end = run.endPage();
    }
  }

  private PageRun runAfter(long end, long gap, long pageCount, int shift) {
    long most = GuestRegion.MAX_ADDRESS >>> shift;
    // Each is bounded alone first, so that no sum can overflow.
    if (Long.compareUnsigned(gap, most) > 0
        || Long.compareUnsigned(pageCount, most) > 0
        || pageCount == 0
        || end + gap + pageCount > most) {
      throw new IllegalArgumentException(
          "a run of %s pages, %s pages after page %d; 1 or more pages below page 2^%d are allowed"
              .formatted(
                  Long.toUnsignedString(pageCount),
                  Long.toUnsignedString(gap),
                  end,
                  Long.numberOfTrailingZeros(most)));
    }
    PageRun run = new PageRun(end + gap, pageCount);
    count(run, shift);
    return run;
  }

  private void count(PageRun run, int shift) {
    runs++;
    pages += run.pageCount() << (shift - Pages.SHIFT);
    if (runs > ControlMessage.RUNS_MAX || pages > ControlMessage.SET_PAGES_MAX) {
      throw new IllegalArgumentException(
          "page sets of at least %d runs and %d pages; at most %d and %d in a message"
              .formatted(runs, pages, ControlMessage.RUNS_MAX, ControlMessage.SET_PAGES_MAX));
    }
  }
}
