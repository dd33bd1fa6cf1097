package ward.wire;

import java.util.ArrayList;
import java.util.List;
import ward.memory.PageRun;
import ward.memory.Pages;
import ward.poison.Circumstances;
import ward.poison.PoisonMap;
import ward.wire.ControlMessage.PoisonMapPart;

/**
 * Cuts a poison map into parts of which each fits into a message. Of use once.
 *
 * <p>Smaller ones than a message holds: while one is written, the one before is read, and the one
 * before that is claimed.
 */
final class PoisonMapCut {

  private static final int RUNS_IN_PART = 8192;

  private final List<PoisonMapPart> parts = new ArrayList<>();
  private PoisonMap part = new PoisonMap();
  private int runs;
  private long pages;

  List<PoisonMapPart> cut(PoisonMap losses) {
    losses.forEach(
        (common, extents) -> {
          if (part.circumstances() == ControlMessage.ENTRIES_MAX) {
            endPart();
          }
          extents.forEachRun(run -> add(common, run));
        });
    endPart();
    return parts;
  }

  /** A longer run than a message holds is cut. */
  private void add(Circumstances common, PageRun run) {
    int shift = common.pageShift() - Pages.SHIFT;
    long first = run.firstPage();
    while (first < run.endPage()) {
      long room = ControlMessage.SET_PAGES_MAX - pages >>> shift;
      if (runs == RUNS_IN_PART || room == 0) {
        endPart();
      } else {
        long count = Math.min(run.endPage() - first, room);
        part.add(common, new PageRun(first, count));
        runs++;
        pages += count << shift;
        first += count;
      }
    }
  }

  private void endPart() {
    if (!part.isEmpty()) {
      parts.add(new PoisonMapPart(part));
      part = new PoisonMap();
      runs = 0;
      pages = 0;
    }
  }
}
