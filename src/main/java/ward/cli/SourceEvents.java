package ward.cli;

import org.slf4j.Logger;
import ward.metrics.SourceMetrics;
import ward.poison.PoisonEntry;
import ward.source.SourceListener;
import ward.source.SourcePhase;

/** What an operator reads of an outgoing migration; everything is counted too. */
final class SourceEvents implements SourceListener {

  private final SourceMetrics metrics;
  private final Logger log;

  SourceEvents(SourceMetrics metrics, Logger log) {
    this.metrics = metrics;
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
    log.warn(
        "lost: guest-physical address 0x{}, {} bytes, {}",
        Long.toHexString(entry.guestPhysicalAddress()),
        1L << entry.pageShift(),
        entry.origin().discovery());
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
