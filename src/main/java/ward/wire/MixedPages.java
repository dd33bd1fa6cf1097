package ward.wire;

import java.util.BitSet;
import ward.memory.Pages;

/**
 * Pages of which some are zeros, in memory: a bit for each page, set where it has bytes, and right
 * behind the bits the bytes of those that have any, in their order.
 *
 * @param requestId 0 where nobody asked
 * @param pageCount 2 to 512
 * @param data pages that have bytes, counted from the first; at least one, and not all
 * @param address of the bytes; the bits are the {@link #BITS_BYTES} before it
 */
public record MixedPages(
    long requestId, long guestPhysicalAddress, int pageCount, BitSet data, long address) {

  /** A bit for each page of the longest frame, always: the bytes begin at the same place. */
  public static final int BITS_BYTES = 64;

  public long bitsAddress() {
    return address - BITS_BYTES;
  }

  public int dataPages() {
    return data.cardinality();
  }

  /**
   * Where the bytes of a page are that has any.
   *
   * @param page counted from the first
   */
  public long addressOf(int page) {
    return address + Pages.bytes(data.get(0, page).cardinality());
  }

  /** How many pages, from one on, are as that one is: zeros, or not. */
  public int alike(int page) {
    return alike(data, page, pageCount);
  }

  /** The same of such bits before they are sent. */
  public static int alike(BitSet data, int page, int pageCount) {
    int other = data.get(page) ? data.nextClearBit(page) : data.nextSetBit(page);
    return (other < 0 ? pageCount : Math.min(other, pageCount)) - page;
  }
}
