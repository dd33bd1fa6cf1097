package ward.cli;

import org.slf4j.Logger;
import ward.metrics.SourceMetrics;
import ward.poison.Origin;
import ward.poison.PoisonEntry;
import ward.source.SourceListener;
import ward.source.SourcePhase;

/** What an operator reads of an outgoing migration; everything is counted too. */
final class SourceEvents implements SourceListener {

  private final SourceMetrics metrics;
  private final PoisonLog lines;
  private final Logger log;

  SourceEvents(SourceMetrics metrics, PoisonLog lines, Logger log) {
    this.metrics = metrics;
    this.lines = lines;
    this.log = log;
  }

  @Override
  public void onPhase(SourcePhase previous, SourcePhase next, String reason) {
    metrics.onPhase(previous, next, reason);
    log.info("{} -> {}: {}", previous, next, reason);
  }

  @Override
  public void trouble(String text) {
    metrics.trouble(text);
    log.warn("{}", text);
  }

  @Override
  public void mapBegun() {
    metrics.mapBegun();
  }

  @Override
  public void mapAnswered() {
    metrics.mapAnswered();
  }

  @Override
  public void answered(long pages) {
    metrics.answered(pages);
  }

  @Override
  public void streamed(long dataPages, long zeroPages) {
    metrics.streamed(dataPages, zeroPages);
  }

  @Override
  public void poisonLearnt(PoisonEntry entry) {
    metrics.poisonLearnt(entry);
    if (entry.origin().discovery() == Origin.Discovery.UNREADABLE) {
      lines.entry(PoisonLog.Event.FOUND, entry, "read", "in the ledger");
    } else {
      lines.entry(PoisonLog.Event.REPORTED, entry, "control", "in the ledger");
    }
  }

  @Override
  public void held(PoisonEntry entry) {
    lines.entry(PoisonLog.Event.HELD, entry, "destination", "intact there");
  }

  @Override
  public void unreadable(long guestPhysicalAddress, String reason) {
    metrics.unreadable(guestPhysicalAddress, reason);
    log.warn(
        "cannot read guest-physical address 0x{}: {}; not called lost, will be tried again",
        Long.toHexString(guestPhysicalAddress),
        reason);
  }
}
