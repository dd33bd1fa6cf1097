package ward.source;

import java.time.Duration;
import java.util.Optional;

/**
 * What an operator chooses for one outgoing migration.
 *
 * @param host this host's name: the origin of poison that is found here
 * @param streamPaused whether the background stream waits for a control command
 * @param streamBytesPerSecond what all background streams together may send; 0 for no limit
 * @param returnWithin how long a destination that broke off after it may have run the guest is
 *     waited for; empty if without end
 * @param handshakeLimit how long whoever connects may take for its Hello
 * @param ledgerPatience how long an entry is tried to be written for when the ledger's disk is full
 *     or fails
 */
public record SourceSettings(
    String host,
    boolean streamPaused,
    long streamBytesPerSecond,
    Optional<Duration> returnWithin,
    Duration handshakeLimit,
    Duration ledgerPatience) {

  public SourceSettings {
    if (streamBytesPerSecond < 0) {
      throw new IllegalArgumentException(
          "a stream of %d bytes a second; 0 or more".formatted(streamBytesPerSecond));
    }
    if (returnWithin.filter(Duration::isNegative).isPresent()) {
      throw new IllegalArgumentException(
          "waiting %s for a destination; 0 or more".formatted(returnWithin.get()));
    }
  }

  /** Without a limit for the streams. */
  public SourceSettings(
      String host,
      boolean streamPaused,
      Optional<Duration> returnWithin,
      Duration handshakeLimit,
      Duration ledgerPatience) {
    this(host, streamPaused, 0, returnWithin, handshakeLimit, ledgerPatience);
  }
}
