package ward.source;

/**
 * How an outgoing migration ended, and where the guest is.
 *
 * @param text for people: what happened and what to do
 */
public record SourceOutcome(Kind kind, String text) {

  public enum Kind {
    /** The guest is at the destination; this copy is not needed. */
    HANDED_OVER,
    /** The guest never ran at the destination: it is whole, and here. */
    ABORTED,
    /** The guest ran at the destination, or may have, and part of it is only here. */
    UNFINISHED,
    /** The destination broke the protocol; the text says where the guest is. */
    PEER_REFUSED,
    /** Counts, ledgers or markers at the destination do not agree with ours. This copy is kept. */
    VERIFICATION_FAILED,
    /** This host failed, for instance its disk; the text says where the guest is. */
    HOST_FAILED
  }
}
