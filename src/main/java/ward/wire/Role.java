package ward.wire;

/** Which side of a migration a peer is. */
public enum Role {
  /** The guest comes from there. */
  SOURCE,
  /** The guest goes there. */
  DESTINATION
}
