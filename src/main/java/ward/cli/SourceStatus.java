package ward.cli;

import ward.metrics.SourceMetrics;
import ward.source.SourceServer;
import ward.source.SourceSession;

/** What {@code ward control status} says of a source. Counts are pages. */
record SourceStatus(
    String role,
    String phase,
    String listening,
    int port,
    long answered,
    long streamedData,
    long streamedZero,
    long foundUnreadable,
    long reported,
    long unreadableNotLost) {

  static SourceStatus of(SourceSession session, SourceServer server, SourceMetrics metrics) {
    return new SourceStatus(
        "source",
        session.phase().name(),
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
