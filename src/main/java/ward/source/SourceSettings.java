package ward.source;

import java.time.Duration;
import java.util.Optional;

/**
 * What an operator chooses for one outgoing migration.
 *
 * @param host this host's name: the origin of poison that is found here
 * @param streamPaused whether the background stream waits for a control command
 * @param returnWithin how long a destination that broke off after it may have run the guest is
 *     waited for; empty if without end
 * @param handshakeLimit how long whoever connects may take for its Hello
 */
public record SourceSettings(
    String host, boolean streamPaused, Optional<Duration> returnWithin, Duration handshakeLimit) {

  public SourceSettings {
    if (returnWithin.filter(Duration::isNegative).isPresent()) {
      throw new IllegalArgumentException(
          "waiting %s for a destination; 0 or more".formatted(returnWithin.get()));
    }
  }
}
