package ward.vcpu;

import java.util.OptionalLong;

/**
 * What a guest was doing when it met lost memory, as far as the host says.
 *
 * @param guestVirtualAddress of the byte; empty where the host does not know it
 */
public record GuestAccess(Kind kind, OptionalLong guestVirtualAddress) {

  /** What kind of access it was. */
  public enum Kind {
    /** The host does not say: a signal names a page and nothing else. */
    UNKNOWN,
    LOAD,
    STORE,
    /** The processor fetched an instruction. */
    FETCH
  }

  /** Nothing is known of it. */
  public static final GuestAccess UNKNOWN = new GuestAccess(Kind.UNKNOWN, OptionalLong.empty());

  static GuestAccess data(boolean isStore) {
    return new GuestAccess(isStore ? Kind.STORE : Kind.LOAD, OptionalLong.empty());
  }
}
