package ward.destination;

import java.io.IOException;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import ward.guest.UnfitGuestException;
import ward.poison.LedgerException;
import ward.wire.ProtocolException;

/**
 * How an incoming migration ended, and where the guest is.
 *
 * @param text for people: what happened and what to do
 */
public record DestinationOutcome(Kind kind, String text) {

  public enum Kind {
    /** The guest is here, whole but for what was lost before; the source has let go. */
    COMPLETE,
    /**
     * The source was lost; the guest is here, and runs. What had not arrived is poison by policy.
     */
    SOURCE_LOST,
    /** A ledger, or another input of this host, was refused before the guest ran here. */
    INPUT_REFUSED,
    /** This host cannot take the guest; it did not run here. */
    HOST_REFUSED,
    /** The peer broke the protocol or refused us; the text says where the guest is. */
    PEER_REFUSED,
    /** The source left before the guest ran here. The guest is at the source. */
    ABORTED,
    /** The source left while pages were missing. The guest is here, paused. */
    UNFINISHED,
    /**
     * Ledgers, counts or markers do not agree. The guest is here, paused; the source keeps its
     * copy.
     */
    VERIFICATION_FAILED
  }

  private static final Logger log = LoggerFactory.getLogger(DestinationOutcome.class);

  /** What a failure comes to. */
  static DestinationOutcome of(Throwable cause) {
    return new DestinationOutcome(kindOf(cause), textOf(cause));
  }

  private static Kind kindOf(Throwable cause) {
    if (cause instanceof ProtocolException) {
      return Kind.PEER_REFUSED;
    }
    boolean input =
        cause instanceof UnfitGuestException
            || cause instanceof InheritanceException
            || cause instanceof LedgerException ledger && ledger.kind() != LedgerException.Kind.IO;
    if (input) {
      return Kind.INPUT_REFUSED;
    }
    if (!(cause instanceof IOException)) {
      log.error("a fault in Ward itself", cause);
    }
    return Kind.HOST_REFUSED;
  }

  static String textOf(Throwable cause) {
    return cause.getMessage() == null ? cause.toString() : cause.getMessage();
  }
}
