package ward.destination;

import java.net.InetSocketAddress;
import java.time.Duration;
import java.util.Optional;

/**
 * What an operator chooses for one incoming migration.
 *
 * @param source where the source listens
 * @param streams background connections, 1 to 16
 * @param host this host's name, for the other side's messages
 * @param announceEvery the guest is told of its lost pages when it is resumed, one in each interval
 *     at most; empty if it is not told
 * @param sourceLoss what to do when the source cannot be reached
 * @param handshakeLimit how long the source may take for its Hello, on each connection
 * @param ledgerPatience how long an entry is tried to be written for when the ledger's disk is full
 *     or fails and the guest may run here; before, the first failure is the end
 * @param onRemove what becomes of lost pages that the guest gives back
 * @param hugeLoss what becomes of huge pages of which a part is lost
 */
public record DestinationSettings(
    InetSocketAddress source,
    int streams,
    String host,
    Optional<Duration> announceEvery,
    SourceLoss sourceLoss,
    Duration handshakeLimit,
    Duration ledgerPatience,
    OnRemove onRemove,
    HugeLoss hugeLoss) {

  public static final int MAX_STREAMS = 16;

  public DestinationSettings {
    if (streams < 1 || streams > MAX_STREAMS) {
      throw new IllegalArgumentException(
          "%d streams; 1 to %d are allowed".formatted(streams, MAX_STREAMS));
    }
  }

  /** The same, with the source elsewhere. */
  DestinationSettings withSource(InetSocketAddress other) {
    return new DestinationSettings(
        other,
        streams,
        host,
        announceEvery,
        sourceLoss,
        handshakeLimit,
        ledgerPatience,
        onRemove,
        hugeLoss);
  }
}
