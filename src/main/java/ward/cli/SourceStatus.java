package ward.cli;

import java.util.UUID;
import ward.metrics.SourceMetrics;
import ward.metrics.Trouble;
import ward.poison.PoisonLedger;
import ward.source.SourceServer;
import ward.source.SourceSession;
import ward.wire.Peer;

/**
 * What {@code ward control status} says of a source. Counts are pages, except {@code breaks}.
 *
 * @param session a UUID that the destination has chosen; empty before one has come
 * @param attempt how often that one has made its connections
 * @param attempts destinations that have come, and failed to take the guest
 * @param cancelling whether an operator's `ward cancel` waits for the destination's word
 * @param lastError null while nothing went wrong
 * @param streamLimit bytes a second that the background stream may send; 0 without a limit
 * @param mapNanos from the destination's arrival until it had marked every lost page and said so
 * @param mapWireNanos of that, from the map's first byte on
 * @param pagesLost for the guest, by the ledger
 * @param pagesHeld lost here after they had been copied, by earlier migrations too
 */
record SourceStatus(
    String role,
    String phase,
    String guest,
    int attempts,
    long machineChecksInjected,
    String listening,
    int port,
    String session,
    int attempt,
    Peer peer,
    boolean cancelling,
    Trouble lastError,
    long breaks,
    long streamLimit,
    long mapNanos,
    long mapWireNanos,
    long pagesTotal,
    long pagesLost,
    long pagesHeld,
    long answered,
    long streamedData,
    long streamedZero,
    long foundUnreadable,
    long reported,
    long unreadableNotLost) {

  /**
   * @param guest {@code running} here, {@code asleep}, or {@code ended}
   * @param attempts destinations that have come, and failed to take it
   */
  static SourceStatus of(
      SourceSession session,
      SourceServer server,
      SourceMetrics metrics,
      String guest,
      int attempts,
      long machineChecksInjected,
      PoisonLedger ledger) {
    return new SourceStatus(
        "source",
        session.phase().name(),
        guest,
        attempts,
        machineChecksInjected,
        server.address().getHostString(),
        server.address().getPort(),
        session.session().map(UUID::toString).orElse(""),
        session.attempt(),
        session.peer(),
        session.isCancelling(),
        metrics.lastTrouble(),
        metrics.breaks(),
        session.streamBytesPerSecond(),
        metrics.mapNanos(),
        metrics.mapWireNanos(),
        session.pageCount(),
        ledger.pageCount(),
        ledger.heldFrames().size(),
        metrics.answeredPages(),
        metrics.streamedDataPages(),
        metrics.streamedZeroPages(),
        metrics.foundPages(),
        metrics.reportedPages(),
        metrics.unreadablePages());
  }
}
