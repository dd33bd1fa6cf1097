package ward.uffd;

/**
 * Whether this host can mark lost pages in one way.
 *
 * @param refusal why not, and what to do about it; empty if it can
 */
public record MarkerOffer(MarkerKind kind, String refusal) {

  public boolean isAvailable() {
    return refusal.isEmpty();
  }

  static MarkerOffer available(MarkerKind kind) {
    return new MarkerOffer(kind, "");
  }
}
