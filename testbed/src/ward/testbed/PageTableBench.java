package ward.testbed;

import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.lang.management.ThreadMXBean;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import ward.memory.PageStates;
import ward.memory.Pages;

/**
 * What the states of a guest's pages cost, in memory and time of one processor: those of 12 TiB
 * beside those of 1 GiB, which lie in the processor's caches. Arithmetic only; no guest has such
 * memory here.
 *
 * <p>Times are the thread's own, not those of the clock on the wall. In order and in runs is how
 * pages arrive by the stream. At random, each transition over 768 MiB of words misses every cache
 * and, in pages of 4 KiB, the TLB: the guest's own touch of such a page does the same, and then
 * waits for a network.
 */
final class PageTableBench {

  static final String SMALL = "1 GiB";
  static final String LARGE = "12 TiB";
  static final long LARGE_PAGES = (12L << 40) >>> Pages.SHIFT;

  private static final long SMALL_PAGES = (1L << 30) >>> Pages.SHIFT;
  private static final int RUN_PAGES = 512;
  private static final int CLUSTER_PAGES = 8;
  private static final int TRANSITIONS = 1 << 23;

  /** A prime, so that steps of it come by every page of a guest once. */
  private static final long STEP = 2_654_435_761L;

  private static final int MISSING = 0;
  private static final int REQUESTED = 1;
  private static final int PRESENT = 2;
  private static final int POISONED = 3;
  private static final int UNCLAIMED = 1 << MISSING | 1 << REQUESTED;
  private static final Pattern RESIDENT = Pattern.compile("VmRSS:\\s+(\\d+) kB");

  private final ThreadMXBean threads = ManagementFactory.getThreadMXBean();
  private final BenchCase of;
  private double residentBits;

  PageTableBench(BenchCase of) {
    this.of = of;
  }

  /** Does something that can be counted. */
  private interface Work {
    long run();
  }

  /**
   * @throws IOException if a state was not what it should be
   */
  BenchResult run(int rounds) throws IOException {
    BenchResult result = new BenchResult(of);
    round(SMALL_PAGES); // compiled by then
    for (int round = 0; round < rounds; round++) {
      result.add(SMALL, round(SMALL_PAGES));
      result.add(LARGE, round(of.tablePages()));
    }
    return result;
  }

  private double[] round(long pages) throws IOException {
    int lost = (int) Math.min(of.lostPages(), pages / 4);
    double[] figures = Arrays.copyOf(filled(pages), 9);
    figures[5] = poisonNanos(pages, lost, CLUSTER_PAGES);
    figures[6] = poisonNanos(pages, lost, 1);
    figures[8] = figures[7] * pages / 1e6;
    return figures;
  }

  /** One table at a time: nobody reaches it any more when this returns. */
  private double[] filled(long pages) throws IOException {
    System.gc(); // the words of earlier tables go with them
    long before = residentBytes();
    PageStates table = new PageStates(pages);
    double run = fillNanos(table, pages);
    double resident = residentBits(before, pages);
    double bits = table.wordBytes() * 8.0 / pages;
    double inOrder = nanos("moved in order", TRANSITIONS, () -> inOrder(table, pages));
    double random = nanos("moved at random", TRANSITIONS, () -> atRandom(table, pages));
    double walk = nanos("are present", pages, () -> pages - others(table, PRESENT));
    return new double[] {bits, resident, run, inOrder, random, 0, 0, walk};
  }

  /** Once: what a table leaves behind is used again by the next one. Too small to be seen: NaN. */
  private double residentBits(long before, long pages) throws IOException {
    if (pages == SMALL_PAGES) {
      return Double.NaN;
    }
    if (residentBits == 0) {
      residentBits = (residentBytes() - before) * 8.0 / pages;
    }
    return residentBits;
  }

  /** Nanoseconds for each, of this thread. */
  private double nanos(String what, long count, Work work) throws IOException {
    long start = threads.getCurrentThreadCpuTime();
    long done = work.run();
    long end = threads.getCurrentThreadCpuTime();
    require(what, count, done);
    return (double) (end - start) / count;
  }

  private static void require(String what, long expected, long found) throws IOException {
    if (expected != found) {
      throw new IOException(
          "page-table: %,d pages %s, and should be %,d".formatted(found, what, expected));
    }
  }

  /** As the stream claims them. A small one is over too soon to be measured: many then. */
  private double fillNanos(PageStates table, long pages) throws IOException {
    double first = nanos("claimed in runs", pages, () -> fill(table, pages));
    int more = (int) Math.min(64, TRANSITIONS / pages);
    return more == 0 ? first : nanos("claimed in runs", more * pages, () -> fillFresh(more, pages));
  }

  private static long fillFresh(int tables, long pages) {
    long moved = 0;
    for (int i = 0; i < tables; i++) {
      moved += fill(new PageStates(pages), pages);
    }
    return moved;
  }

  private static long fill(PageStates table, long pages) {
    long moved = 0;
    for (long page = 0; page < pages; page += RUN_PAGES) {
      moved += table.moveLeading(page, page + RUN_PAGES, UNCLAIMED, PRESENT);
    }
    return moved;
  }

  private static long inOrder(PageStates table, long pages) {
    long each = Math.min(pages, TRANSITIONS / 2);
    long moved = 0;
    for (int i = 0; i < TRANSITIONS; i++) {
      moved += moveOnOrBack(table, i % each, i / each) ? 1 : 0;
    }
    return moved;
  }

  private static long atRandom(PageStates table, long pages) {
    long each = Math.min(pages, TRANSITIONS / 2);
    long moved = 0;
    for (int i = 0; i < TRANSITIONS; i++) {
      moved += moveOnOrBack(table, i % each * STEP % pages, i / each) ? 1 : 0;
    }
    return moved;
  }

  /** Every second time back to where it was. */
  private static boolean moveOnOrBack(PageStates table, long page, long time) {
    boolean on = time % 2 == 0;
    return table.compareAndSet(page, on ? PRESENT : REQUESTED, on ? REQUESTED : PRESENT);
  }

  private double poisonNanos(long pages, int lost, int together) throws IOException {
    System.gc();
    PageStates table = new PageStates(pages);
    double nanos = nanos("poisoned", lost, () -> poison(table, pages, lost, together));
    require("are poisoned", lost, others(table, MISSING));
    require("are found poisoned", lost, foundAgain(table, pages, lost, together));
    return nanos;
  }

  /** On a fresh table, so the words are made on the way. */
  private static long poison(PageStates table, long pages, int lost, int together) {
    long moved = 0;
    for (int i = 0; i < lost; i++) {
      moved += table.compareAndSet(lostPage(pages, i, together), MISSING, POISONED) ? 1 : 0;
    }
    return moved;
  }

  private static long lostPage(long pages, int index, int together) {
    long place = index / together * STEP % (pages / together);
    return place * together + index % together;
  }

  private static long foundAgain(PageStates table, long pages, int lost, int together) {
    long found = 0;
    for (int i = 0; i < lost; i++) {
      found += table.get(lostPage(pages, i, together)) == POISONED ? 1 : 0;
    }
    return found;
  }

  /** How many pages are not in a state, as whoever needs them finds them: run by run. */
  private static long others(PageStates table, int state) {
    long pages = table.pageCount();
    long others = 0;
    long page = table.next(0, pages, ~(1 << state));
    while (page < pages) {
      long end = table.next(page, pages, 1 << state);
      others += end - page;
      page = table.next(end, pages, ~(1 << state));
    }
    return others;
  }

  private static long residentBytes() throws IOException {
    Matcher resident = RESIDENT.matcher(Files.readString(Path.of("/proc/self/status")));
    if (!resident.find()) {
      throw new IOException("/proc/self/status has no line VmRSS");
    }
    return Long.parseLong(resident.group(1)) << 10;
  }
}
