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
  private volatile Trouble lastTrouble; // null while all went well

  @Override
  public void onPhase(SourcePhase previous, SourcePhase next, String reason) {
    switch (next) {
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

  /** How often the connections broke after the destination may have run the guest. */
  public long breaks() {
    return breaks.sum();
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
