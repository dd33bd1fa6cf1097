package ward.cli;

import java.util.List;
import org.slf4j.Logger;
import ward.destination.CollapseReport;
import ward.destination.DestinationListener;
import ward.destination.DestinationPhase;
import ward.memory.PageSet;
import ward.metrics.DestinationMetrics;
import ward.poison.Origin;
import ward.poison.PoisonEntry;

/** What an operator reads of an incoming migration; everything is counted too. */
final class DestinationEvents implements DestinationListener {

  private final DestinationMetrics metrics;
  private final PoisonLog lines;
  private final Logger log;

  DestinationEvents(DestinationMetrics metrics, PoisonLog lines, Logger log) {
    this.metrics = metrics;
    this.lines = lines;
    this.log = log;
  }

  @Override
  public void onPhase(DestinationPhase previous, DestinationPhase next, String reason) {
    metrics.onPhase(previous, next, reason);
    log.info("{} -> {}: {}", previous, next, reason);
  }

  @Override
  public void trouble(String text) {
    metrics.trouble(text);
    log.warn("{}", text);
  }

  @Override
  public void waits(int thread, long page) {
    metrics.waits(thread, page);
  }

  @Override
  public void woken(long firstPage, long pageCount) {
    metrics.woken(firstPage, pageCount);
  }

  @Override
  public void faultResolved(long nanos) {
    metrics.faultResolved(nanos);
  }

  @Override
  public void streamed(long pages) {
    metrics.streamed(pages);
  }

  @Override
  public void duplicate(long pages) {
    metrics.duplicate(pages);
  }

  @Override
  public void alreadyResolved(long guestPhysicalAddress) {
    metrics.alreadyResolved(guestPhysicalAddress);
    log.warn(
        "guest-physical address 0x{} was there before Ward put it there",
        Long.toHexString(guestPhysicalAddress));
  }

  @Override
  public void sourceFailed(long guestPhysicalAddress, String reason) {
    metrics.trouble(
        "the source cannot read guest-physical address 0x%x: %s"
            .formatted(guestPhysicalAddress, reason));
    log.warn(
        "the source cannot read guest-physical address 0x{}: {}; the guest waits for it",
        Long.toHexString(guestPhysicalAddress),
        reason);
  }

  @Override
  public void damaged(long guestPhysicalAddress, long pagesAskedAgain, String disagreement) {
    metrics.damaged(guestPhysicalAddress, pagesAskedAgain, disagreement);
    metrics.trouble(
        "what came for guest-physical address 0x%x is not what was sent: %s"
            .formatted(guestPhysicalAddress, disagreement));
    log.warn(
        "what came for guest-physical address 0x{} is not what was sent: {}; {} pages are asked for again",
        Long.toHexString(guestPhysicalAddress),
        disagreement,
        pagesAskedAgain);
  }

  @Override
  public void latePoison(PageSet poisoned, PageSet held) {
    metrics.latePoison(poisoned, held);
    if (!held.isEmpty()) {
      log.info(
          "{} pages were copied before the source lost them, and stay as they are", held.size());
    }
  }

  @Override
  public void lossesLearnt(List<PoisonEntry> poisoned, List<PoisonEntry> held) {
    for (PoisonEntry entry : poisoned) {
      if (entry.origin().discovery() == Origin.Discovery.SOURCE_LOST) {
        lines.entry(PoisonLog.Event.SOURCE_LOST, entry, "policy", "in the ledger, marked");
      } else {
        lines.entry(PoisonLog.Event.LATE, entry, "source", "in the ledger, marked");
      }
    }
    for (PoisonEntry entry : held) {
      lines.entry(PoisonLog.Event.HELD, entry, "source", "copied before the loss, left as it is");
    }
  }

  @Override
  public void widened(List<PoisonEntry> entries) {
    metrics.widened(entries.size());
    for (PoisonEntry entry : entries) {
      lines.entry(
          PoisonLog.Event.WIDENED,
          entry,
          "memory",
          "lost in part; the source is asked to lose all of it");
    }
  }

  @Override
  public void collapsed(CollapseReport report) {
    metrics.collapsed(report);
    log.info("{}", report);
  }

  @Override
  public void recovered(long nanos) {
    metrics.recovered(nanos);
  }

  @Override
  public void givenBack(long pages) {
    metrics.givenBack(pages);
  }
}
