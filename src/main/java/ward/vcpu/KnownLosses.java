package ward.vcpu;

import java.util.OptionalInt;

/** What is known to be lost of a guest's memory. */
@FunctionalInterface
interface KnownLosses {

  /**
   * log2 of the size in bytes of the lost extent that the byte at this guest-physical address
   * belongs to; empty if it is not known to be lost.
   */
  OptionalInt extentAt(long guestPhysicalAddress);
}
