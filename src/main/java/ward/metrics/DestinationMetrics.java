package ward.metrics;

import java.util.concurrent.atomic.LongAccumulator;
import java.util.concurrent.atomic.LongAdder;
import java.util.function.Consumer;
import org.HdrHistogram.ConcurrentHistogram;
import org.HdrHistogram.Histogram;
import ward.destination.CollapseReport;
import ward.destination.DestinationListener;
import ward.destination.DestinationPhase;
import ward.memory.PageSet;

/** Numbers of an incoming migration. */
public final class DestinationMetrics implements DestinationListener {

  private static final long LONGEST_FAULT_NANOS = 3_600_000_000_000L;
  private static final int SIGNIFICANT_DIGITS = 3;

  private final Histogram faultNanos =
      new ConcurrentHistogram(LONGEST_FAULT_NANOS, SIGNIFICANT_DIGITS);
  private final LongAdder streamedPages = new LongAdder();
  private final LongAdder duplicatePages = new LongAdder();
  private final LongAdder alreadyResolvedPages = new LongAdder();
  private final LongAdder givenBackPages = new LongAdder();
  private final LongAdder latePoisonedPages = new LongAdder();
  private final LongAdder heldPages = new LongAdder();
  private final LongAdder widenedHugePages = new LongAdder();
  private final LongAdder breaks = new LongAdder();
  private final LongAdder brokenNanos = new LongAdder();
  private final LongAccumulator longestBreakNanos = new LongAccumulator(Math::max, 0);
  private final LongAdder damagedAnswers = new LongAdder();
  private final LongAdder pagesAskedAgain = new LongAdder();
  private final Durations faultDurations =
      new Durations(
          0.000_1, 0.000_2, 0.000_5, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1, 5, 30);
  private final Durations breakDurations =
      new Durations(0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 300, 1_800);
  private final Waiters waiters;
  private volatile Trouble lastTrouble; // null while all went well
  private volatile CollapseReport collapse; // null while there is none
  private volatile long streamStartNanos;
  private volatile long streamEndNanos;

  /**
   * Demand faults, from reading the event to the end of the ioctl that resolved it.
   *
   * @param count faults that were answered; the rest is microseconds
   */
  public record Faults(long count, double p50Micros, double p99Micros, double maxMicros) {}

  /**
   * Times without the source, from the first broken connection until both sides agreed again.
   *
   * @param count breaks that are over
   * @param totalMillis of all of them
   * @param waiters threads that waited for a page over a break
   * @param longestWaitMillis from the touch of a page to its coming, of those who waited over a
   *     break
   */
  public record Breaks(
      long count,
      double totalMillis,
      double longestMillis,
      long waiters,
      double longestWaitMillis) {}

  /**
   * How long threads waited for pages over one break, or over all.
   *
   * @param waiters threads whose wait began before the source was back, and ended after the break
   *     had begun
   */
  public record WaitsOverBreak(long waiters, double longestMillis) {}

  /**
   * Threads that wait for a page.
   *
   * @param count vCPUs, and what touches memory for them
   */
  public record Waiting(int count, double longestMillis) {}

  public DestinationMetrics() {
    this(waits -> {});
  }

  /**
   * @param waitedOverBreak hears of each break when the last of those who waited over it goes on;
   *     on the fault path, so it must not block
   */
  public DestinationMetrics(Consumer<WaitsOverBreak> waitedOverBreak) {
    this.waiters = new Waiters(System::nanoTime, waitedOverBreak);
  }

  @Override
  public void onPhase(DestinationPhase previous, DestinationPhase next, String reason) {
    if (next == DestinationPhase.RUNNING && previous != DestinationPhase.RECOVERING) {
      streamStartNanos = System.nanoTime();
    }
    switch (next) {
      case RECOVERING -> {
        waiters.broken();
        trouble(reason);
      }
      case ABORTED, UNFINISHED -> trouble(reason);
      default -> {}
    }
  }

  @Override
  public void trouble(String text) {
    lastTrouble = Trouble.now(text);
  }

  @Override
  public void waits(int thread, long page) {
    waiters.waits(thread, page);
  }

  @Override
  public void woken(long firstPage, long pageCount) {
    waiters.woken(firstPage, pageCount);
  }

  @Override
  public void faultResolved(long nanos) {
    faultDurations.add(nanos);
    faultNanos.recordValue(Math.min(nanos, LONGEST_FAULT_NANOS));
  }

  @Override
  public void streamed(long pages) {
    if (streamedPages.sum() == 0) {
      streamStartNanos = System.nanoTime();
    }
    streamedPages.add(pages);
    streamEndNanos = System.nanoTime();
  }

  @Override
  public void duplicate(long pages) {
    duplicatePages.add(pages);
  }

  @Override
  public void alreadyResolved(long guestPhysicalAddress) {
    alreadyResolvedPages.increment();
  }

  @Override
  public void damaged(long guestPhysicalAddress, long pages, String disagreement) {
    damagedAnswers.increment();
    pagesAskedAgain.add(pages);
  }

  @Override
  public void latePoison(PageSet poisoned, PageSet held) {
    latePoisonedPages.add(poisoned.size());
    heldPages.add(held.size());
  }

  /** Huge pages that were lost in part are lost as a whole. */
  public void widened(long hugePages) {
    widenedHugePages.add(hugePages);
  }

  @Override
  public void collapsed(CollapseReport report) {
    collapse = report;
  }

  @Override
  public void recovered(long nanos) {
    breakDurations.add(nanos);
    breaks.increment();
    brokenNanos.add(nanos);
    longestBreakNanos.accumulate(nanos);
    waiters.mended();
  }

  @Override
  public void givenBack(long pages) {
    givenBackPages.add(pages);
  }

  /** What of it a Prometheus server may have. */
  void register(Families to) {
    to.histogram(
        "ward_destination_fault_duration_seconds",
        "Demand faults, from reading the event to the end of the ioctl that resolved it.",
        faultDurations);
    registerBreaks(to);
    registerPages(to);
    to.counter(
        "ward_destination_widened_huge_pages_total",
        "Huge pages that were lost in part, and are taken for lost as a whole.",
        widenedHugePages::sum);
    to.gauge(
        "ward_destination_collapsed_bytes",
        "Memory that --collapse has found or made to be huge pages.",
        () -> collapse == null ? 0 : collapse.hugePages() * (2 << 20));
    to.gauge(
        "ward_destination_collapse_seconds",
        "How long --collapse took.",
        () -> collapse == null ? 0 : collapse.nanos() / 1e9);
  }

  private void registerBreaks(Families to) {
    to.counter(
        "ward_destination_breaks_total", "Times without the source that are over.", breaks::sum);
    to.histogram(
        "ward_destination_break_duration_seconds",
        "Times without the source, from the first broken connection until both sides agreed again.",
        breakDurations);
    to.gauge(
        "ward_destination_break_wait_longest_seconds",
        "The longest that a thread waited for a page over a break.",
        () -> waiters.overBreaks().longestMillis() / 1e3);
    to.gauge(
        "ward_destination_waiters", "Threads that wait for a page now.", () -> waiting().count());
    to.gauge(
        "ward_destination_wait_longest_seconds",
        "How long the thread has waited that waits longest now.",
        () -> waiting().longestMillis() / 1e3);
  }

  private void registerPages(Families to) {
    to.pageBytes(
        "ward_destination_streamed_bytes_total",
        "Guest memory placed before anybody asked, zeros included.",
        streamedPages::sum);
    to.counter(
        "ward_destination_duplicate_pages_total",
        "Pages that came twice; the second was dropped.",
        duplicatePages::sum);
    to.counter(
        "ward_destination_damaged_answers_total",
        "Answers whose checksum was wrong; nothing of them was placed.",
        damagedAnswers::sum);
    to.counter(
        "ward_destination_pages_asked_again_total",
        "Pages asked for again because they had come damaged.",
        pagesAskedAgain::sum);
    to.counter(
        "ward_destination_late_poison_pages_total",
        "Pages poisoned after the guest was resumed.",
        latePoisonedPages::sum);
    to.counter(
        "ward_destination_held_pages_total",
        "Pages that had been copied before the source lost them.",
        heldPages::sum);
  }

  /** The demand faults so far. */
  public Faults faults() {
    Histogram copy = faultNanos.copy();
    return new Faults(
        copy.getTotalCount(),
        copy.getValueAtPercentile(50) / 1e3,
        copy.getValueAtPercentile(99) / 1e3,
        copy.getMaxValue() / 1e3);
  }

  /** The breaks so far: while one lasts, whoever needs a missing page waits. */
  public Breaks breaks() {
    WaitsOverBreak waits = waiters.overBreaks();
    return new Breaks(
        breaks.sum(),
        brokenNanos.sum() / 1e6,
        longestBreakNanos.get() / 1e6,
        waits.waiters(),
        waits.longestMillis());
  }

  /** Threads that wait now. */
  public Waiting waiting() {
    Waiters.Now now = waiters.now();
    return new Waiting(now.count(), now.longestMillis());
  }

  /** The last thing that went wrong; null while nothing has. */
  public Trouble lastTrouble() {
    return lastTrouble;
  }

  /** What came of making huge pages; null while nobody has. */
  public CollapseReport collapse() {
    return collapse;
  }

  /** Pages that came in the background. */
  public long streamedPages() {
    return streamedPages.sum();
  }

  /** Pages that came twice, by the stream and on demand; the second was dropped. */
  public long duplicatePages() {
    return duplicatePages.sum();
  }

  /** Pages that were there although Ward did not put them there. */
  public long alreadyResolvedPages() {
    return alreadyResolvedPages.sum();
  }

  /** Answers whose checksum was wrong; nothing of them was placed. */
  public long damagedAnswers() {
    return damagedAnswers.sum();
  }

  /** Pages that were asked for again because they had come damaged, each as often as it was. */
  public long pagesAskedAgain() {
    return pagesAskedAgain.sum();
  }

  /** Pages whose loss came after they had been copied. */
  public long heldPages() {
    return heldPages.sum();
  }

  /** Pages poisoned after the guest was resumed. */
  public long latePoisonedPages() {
    return latePoisonedPages.sum();
  }

  /** MiB of guest memory a second, zero pages included, from the first page to the last. */
  public double streamMebibytesPerSecond() {
    long nanos = streamEndNanos - streamStartNanos;
    return nanos <= 0 ? 0 : streamedPages.sum() / 256.0 / (nanos / 1e9);
  }
}
