package ward.kernel;

/**
 * Tells pages that hold nothing but zeros from others: in native code, which is quick from the
 * first page on. A stream is over before the same loop in Java is compiled.
 *
 * <p>For this process's own buffers: a page that cannot be read ends the process.
 */
public final class ZeroPages {

  public static final int PAGE_BYTES = 4096;

  private ZeroPages() {}

  /** Whether the 4096 bytes at an address, a multiple of 8, are zeros. */
  public static boolean isZero(long address) {
    return NativeKernel.stubs().ward_is_zero(address) != 0;
  }

  /**
   * How many pages, from the first on, are as that one is: zeros, or not.
   *
   * @param address a multiple of 8
   * @param pageCount at least 1
   * @return 1 to {@code pageCount}
   */
  public static long alike(long address, long pageCount) {
    return NativeKernel.stubs().ward_alike(address, pageCount);
  }

  /**
   * Moves the pages that are not zeros together, to the front; what is behind them afterwards means
   * nothing.
   *
   * @param address a multiple of 8
   * @param bitsAddress of 64-bit words, a multiple of 8
   * @param firstBit of the first page; the bits of pages that are not zeros are set, no other is
   *     changed
   * @return how many pages those are
   */
  public static long pack(long address, long pageCount, long bitsAddress, long firstBit) {
    return NativeKernel.stubs().ward_pack(address, pageCount, bitsAddress, firstBit);
  }

  /**
   * The reverse: every page is where it was, or is zeros again.
   *
   * @param bitsAddress of the first page's bit, the lowest of a 64-bit word; a multiple of 8
   */
  public static void unpack(long address, long pageCount, long bitsAddress) {
    NativeKernel.stubs().ward_unpack(address, pageCount, bitsAddress);
  }
}
