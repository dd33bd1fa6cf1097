package ward.memory;

/** The page, the unit in which memory is moved and lost: 4 KiB. */
public final class Pages {

  /** log2 of {@link #SIZE_BYTES}. */
  public static final int SHIFT = 12;

  /** Bytes in a page. */
  public static final int SIZE_BYTES = 1 << SHIFT;

  private Pages() {}

  /** Bytes in that many pages. */
  public static long bytes(long pageCount) {
    return pageCount << SHIFT;
  }

  /** Whether an address or a length is a multiple of a page. */
  public static boolean isAligned(long bytes) {
    return (bytes & (SIZE_BYTES - 1)) == 0;
  }

  /** The address of the page that holds this byte. */
  public static long align(long address) {
    return address & -SIZE_BYTES;
  }
}
