package ward.metrics;

import java.util.concurrent.atomic.LongAdder;
import ward.poison.Origin;
import ward.poison.PoisonEntry;
import ward.source.SourceListener;
import ward.source.SourcePhase;

/** Numbers of an outgoing migration. */
public final class SourceMetrics implements SourceListener {

  private final LongAdder answeredPages = new LongAdder();
  private final LongAdder dataPages = new LongAdder();
  private final LongAdder zeroPages = new LongAdder();
  private final LongAdder foundPages = new LongAdder();
  private final LongAdder reportedPages = new LongAdder();
  private final LongAdder unreadablePages = new LongAdder();
  private final LongAdder breaks = new LongAdder();
  private volatile long mapStartNanos;
  private volatile long mapNanos;
  private volatile long mapBegunNanos;
  private volatile long mapWireNanos;
  private volatile Trouble lastTrouble; // null while all went well

  @Override
  public void onPhase(SourcePhase previous, SourcePhase next, String reason) {
    switch (next) {
      case SENDING_MAP -> mapStartNanos = System.nanoTime();
      case MAP_APPLIED -> mapNanos = System.nanoTime() - mapStartNanos;
      case AWAITING_RETURN -> {
        breaks.increment();
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
  public void mapBegun() {
    mapBegunNanos = System.nanoTime();
  }

  @Override
  public void mapAnswered() {
    mapWireNanos = System.nanoTime() - mapBegunNanos;
  }

  @Override
  public void answered(long pages) {
    answeredPages.add(pages);
  }

  @Override
  public void streamed(long data, long zero) {
    dataPages.add(data);
    zeroPages.add(zero);
  }

  @Override
  public void poisonLearnt(PoisonEntry entry) {
    boolean found = entry.origin().discovery() == Origin.Discovery.UNREADABLE;
    (found ? foundPages : reportedPages).add(1L << (entry.pageShift() - 12));
  }

  @Override
  public void unreadable(long guestPhysicalAddress, String reason) {
    unreadablePages.increment();
    trouble("cannot read guest-physical address 0x%x: %s".formatted(guestPhysicalAddress, reason));
  }

  /** What of it a Prometheus server may have. */
  void register(Families to) {
    to.counter(
        "ward_source_breaks_total",
        "Times that the connections broke after the destination may have run the guest.",
        breaks::sum);
    to.counters(
        "ward_source_sent_pages_total",
        "Pages sent, by why and what.",
        callback -> {
          callback.call(answeredPages.sum(), "demand");
          callback.call(dataPages.sum(), "stream_data");
          callback.call(zeroPages.sum(), "stream_zero");
        },
        "way");
    to.pageBytes(
        "ward_source_streamed_bytes_total",
        "Guest memory sent in the background, zeros included.",
        () -> dataPages.sum() + zeroPages.sum());
    to.counters(
        "ward_source_poison_learnt_pages_total",
        "Pages that were lost while the source served.",
        callback -> {
          callback.call(foundPages.sum(), "unreadable");
          callback.call(reportedPages.sum(), "reported");
        },
        "discovery");
    to.counter(
        "ward_source_unreadable_reads_total",
        "Times that a page could not be read although it is not lost.",
        unreadablePages::sum);
  }

  /** How often the connections broke after the destination may have run the guest. */
  public long breaks() {
    return breaks.sum();
  }

  /**
   * From the moment the destination was there until it had every lost page marked and said so; 0
   * before.
   */
  public long mapNanos() {
    return mapNanos;
  }

  /**
   * From the map's first byte until the destination's word that every lost page is marked has come;
   * 0 before. In it is what the destination does when it has heard what the guest is like: its
   * ledger is opened, memory mapped, vCPUs made.
   */
  public long mapWireNanos() {
    return mapWireNanos;
  }

  /** The last thing that went wrong; null while nothing has. */
  public Trouble lastTrouble() {
    return lastTrouble;
  }

  /** Pages sent because the guest waits for them. */
  public long answeredPages() {
    return answeredPages.sum();
  }

  /** Pages with content sent in the background. */
  public long streamedDataPages() {
    return dataPages.sum();
  }

  /** Pages of zeros sent in the background. */
  public long streamedZeroPages() {
    return zeroPages.sum();
  }

  /** Pages found unreadable while serving. */
  public long foundPages() {
    return foundPages.sum();
  }

  /** Pages reported by a control command while serving. */
  public long reportedPages() {
    return reportedPages.sum();
  }

  /** Times a page could not be read although it is not lost. */
  public long unreadablePages() {
    return unreadablePages.sum();
  }
}
