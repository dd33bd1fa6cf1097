package ward.testbed;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import ward.memory.Pages;

/**
 * The hash of one page that the guest program, {@code ward.kernel.Kernel#fold} and this class agree
 * on. It depends on the page's address, so that two pages that changed places are noticed.
 */
public final class WalkerHash {

  private static final long MULTIPLIER = 0x9e3779b97f4a7c15L;

  private WalkerHash() {}

  /**
   * The hash of a page.
   *
   * @param page from its position 4096 bytes are read; the position stays
   * @param guestPhysicalAddress of the page
   */
  public static long of(ByteBuffer page, long guestPhysicalAddress) {
    ByteBuffer words = page.duplicate().order(ByteOrder.LITTLE_ENDIAN);
    long hash = guestPhysicalAddress;
    for (int i = 0; i < Pages.SIZE_BYTES; i += Long.BYTES) {
      hash = (hash ^ words.getLong()) * MULTIPLIER;
      hash ^= hash >>> 32;
    }
    return hash;
  }
}
