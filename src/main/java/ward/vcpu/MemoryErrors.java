package ward.vcpu;

import java.io.IOException;
import java.util.OptionalInt;
import ward.memory.Pages;

/**
 * Who keeps the books of a guest's losses. Called on vCPU threads, by several at once.
 *
 * <p>{@code pause()} waits for a call to return, so none of them may pause the guest.
 *
 * @see ward.guest.Guest#pause()
 */
public interface MemoryErrors {

  /** Whether the page at this address is known to be lost. */
  boolean isKnown(long guestPhysicalAddress);

  /**
   * log2 of the size in bytes of the lost extent that the page at this address belongs to, the
   * largest that is known: 21 in a lost 2 MiB page. Empty if it is not known to be lost.
   */
  default OptionalInt lostExtentAt(long guestPhysicalAddress) {
    return isKnown(guestPhysicalAddress) ? OptionalInt.of(Pages.SHIFT) : OptionalInt.empty();
  }

  /**
   * A vCPU met a loss. The guest hears of it only after this has returned, so a loss that is new is
   * on disk before anyone acts on it.
   *
   * @throws IOException if that is not possible; the guest then stops
   */
  void consumed(MemoryError error) throws IOException;

  /**
   * The guest cannot be told and cannot go on: it is stopped.
   *
   * @param reason for people
   */
  default void givenUp(MemoryError error, String reason) {}

  /** The guest's vCPU has been told; it takes it as soon as it runs. */
  void injected(MemoryErrorEvent event);
}
