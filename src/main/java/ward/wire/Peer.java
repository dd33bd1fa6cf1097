package ward.wire;

/**
 * The other side of a migration.
 *
 * @param host the name that it gave itself; empty before its Hello
 * @param address where it is reached, or where it came from, HOST:PORT
 */
public record Peer(String host, String address) {

  /** Nobody yet. */
  public static final Peer NOBODY = new Peer("", "");
}
