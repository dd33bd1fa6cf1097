package ward.cli;

import ward.metrics.SourceMetrics;
import ward.source.SourceServer;
import ward.source.SourceSession;

/** What {@code ward control status} says of a source. Counts are pages. */
record SourceStatus(
    String role,
    String phase,
    String guest,
    int attempts,
    long machineChecksInjected,
    String listening,
    int port,
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
      long machineChecksInjected) {
    return new SourceStatus(
        "source",
        session.phase().name(),
        guest,
        attempts,
        machineChecksInjected,
        server.address().getHostString(),
        server.address().getPort(),
        metrics.answeredPages(),
        metrics.streamedDataPages(),
        metrics.streamedZeroPages(),
        metrics.foundPages(),
        metrics.reportedPages(),
        metrics.unreadablePages());
  }
}
