package ward.wire;

/**
 * Which protocol a side speaks.
 *
 * @param major sides of different majors cannot talk
 * @param minor a side skips the messages and frames that a newer minor added
 */
public record ProtocolVersion(int major, int minor) {

  /** What this build speaks. */
  public static final ProtocolVersion OURS = new ProtocolVersion(1, 1);

  private static final int NUMBER_MAX = 65_535;

  /**
   * @throws IllegalArgumentException if a number is not from 0 to 65535
   */
  public ProtocolVersion {
    requireNumber("major", major);
    requireNumber("minor", minor);
  }

  private static void requireNumber(String name, int number) {
    if (number < 0 || number > NUMBER_MAX) {
      throw new IllegalArgumentException(
          "%s version %s; 0 to %d is allowed"
              .formatted(name, Integer.toUnsignedString(number), NUMBER_MAX));
    }
  }

  /** Whether this side can talk to that peer: whether the majors are equal. */
  public boolean understands(ProtocolVersion peer) {
    return major == peer.major;
  }

  /** Whether the peer reads frames of pages of which some are zeros: {@link MixedPages}. */
  public boolean takesMixed() {
    return major > 1 || minor >= 1;
  }

  /** Whether the peer may send what this side does not know, and must skip. */
  boolean skipsNewsOf(ProtocolVersion peer) {
    return understands(peer) && peer.minor > minor;
  }

  @Override
  public String toString() {
    return major + "." + minor;
  }
}
