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

  /** The same with another limit for the streams, in bytes a second; 0 for none. */
  public SourceSettings withStreamLimit(long bytesPerSecond) {
    return new SourceSettings(
        host, streamPaused, bytesPerSecond, returnWithin, handshakeLimit, ledgerPatience);
  }
}
