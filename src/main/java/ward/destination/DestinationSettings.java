package ward.destination;

import java.net.InetSocketAddress;

/**
 * What an operator chooses for one incoming migration.
 *
 * @param source where the source listens
 * @param streams background connections, 1 to 16
 * @param host this host's name, for the other side's messages
 */
public record DestinationSettings(InetSocketAddress source, int streams, String host) {

  public static final int MAX_STREAMS = 16;

  public DestinationSettings {
    if (streams < 1 || streams > MAX_STREAMS) {
      throw new IllegalArgumentException(
          "%d streams; 1 to %d are allowed".formatted(streams, MAX_STREAMS));
    }
  }
}
