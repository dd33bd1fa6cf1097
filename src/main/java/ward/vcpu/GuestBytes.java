package ward.vcpu;

import java.util.Optional;

/** Reads a guest's memory without being killed by what is lost in it. */
@FunctionalInterface
interface GuestBytes {

  /**
   * Bytes that lie in one page. Waits for a page that has not arrived yet.
   *
   * @return a copy, or empty if there is no RAM, or it cannot be read
   */
  Optional<byte[]> read(long guestPhysicalAddress, int lengthBytes);
}
