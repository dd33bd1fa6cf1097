package ward.source;

import java.time.Duration;
import ward.wire.HelloHandler;

/**
 * What an operator chooses for one outgoing migration.
 *
 * @param host this host's name: the origin of poison that is found here
 * @param streamPaused whether the background stream waits for a control command
 * @param handshakeLimit how long whoever connects may take for its Hello
 */
public record SourceSettings(String host, boolean streamPaused, Duration handshakeLimit) {

  /** With the wire's own limit. */
  public SourceSettings(String host, boolean streamPaused) {
    this(host, streamPaused, HelloHandler.DEFAULT_LIMIT);
  }
}
