package ward.kernel;

/**
 * Tells pages that hold nothing but zeros from others: in native code, which is quick from the
 * first page on. A stream is over before the same loop in Java is compiled.
 *
 * <p>For this process's own buffers: a page that cannot be read ends the process.
 */
public final class ZeroPages {

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
}
