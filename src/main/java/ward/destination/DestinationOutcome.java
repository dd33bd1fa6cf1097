package ward.destination;

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
}
