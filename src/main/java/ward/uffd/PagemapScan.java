package ward.uffd;

import java.lang.ref.Reference;
import ward.kernel.Fd;
import ward.kernel.Ioctl;
import ward.kernel.Kernel;
import ward.kernel.KernelCallException;
import ward.kernel.Linux;
import ward.kernel.NativeMemory;
import ward.memory.Pages;

/**
 * Asks for pages of this process by what they are, {@code PAGEMAP_SCAN} of {@code <linux/fs.h>},
 * Linux 6.7: also for what the entries of {@code /proc/PID/pagemap} do not tell.
 *
 * <pre>{@code
 * struct pm_scan_arg {
 *     __u64 size, flags, start, end, walk_end, vec, vec_len, max_pages;
 *     __u64 category_inverted, category_mask, category_anyof_mask, return_mask;
 * };
 * struct page_region { __u64 start, end, categories; };  // an array of them at vec
 * }</pre>
 *
 * @see <a href="https://docs.kernel.org/admin-guide/mm/pagemap.html">pagemap, PAGEMAP_SCAN</a>
 */
final class PagemapScan implements AutoCloseable {

  static final int SIZE_BYTES = 96;
  static final int START = 16;
  static final int END = 24;
  static final int VECTOR = 40;
  static final int VECTOR_LENGTH = 48;
  static final int CATEGORY_MASK = 72;
  static final int RETURN_MASK = 88;
  static final int REGION_BYTES = 24;

  /** Neither present nor empty. */
  static final long SWAPPED = 1 << 4;

  /** The page of zeros that all of a host's processes share. */
  static final long ZERO = 1 << 5;

  static final Ioctl SCAN = Ioctl.readWrite("PAGEMAP_SCAN", 'f', 16, SIZE_BYTES);

  private static final String PAGEMAP = "/proc/self/pagemap";
  private static final int REGIONS = 512;

  private final Kernel kernel;
  private final Fd pagemap;

  private PagemapScan(Kernel kernel, Fd pagemap) {
    this.kernel = kernel;
    this.pagemap = pagemap;
  }

  static PagemapScan open(Kernel kernel) throws KernelCallException {
    return new PagemapScan(kernel, kernel.open(PAGEMAP, Linux.O_RDONLY));
  }

  /**
   * How many bytes of a range are of a category; touches none.
   *
   * @param lengthBytes at most 2 MiB
   * @return or {@code -errno}, such as {@code ENOTTY} before Linux 6.7
   */
  long bytes(long hostAddress, long lengthBytes, long category) {
    NativeMemory regions = NativeMemory.allocate(REGIONS * REGION_BYTES);
    NativeMemory argument = NativeMemory.allocate(SIZE_BYTES);
    argument.putLong(0, SIZE_BYTES);
    argument.putLong(START, hostAddress);
    argument.putLong(END, hostAddress + lengthBytes);
    argument.putLong(VECTOR, regions.address());
    argument.putLong(VECTOR_LENGTH, REGIONS);
    argument.putLong(CATEGORY_MASK, category);
    argument.putLong(RETURN_MASK, category);
    int count = kernel.ioctl(pagemap, SCAN, argument);
    Reference.reachabilityFence(regions);
    return count < 0 ? count : sum(regions, count);
  }

  private static long sum(NativeMemory regions, int count) {
    long bytes = 0;
    for (int i = 0; i < count; i++) {
      bytes += regions.getLong(i * REGION_BYTES + Long.BYTES) - regions.getLong(i * REGION_BYTES);
    }
    return bytes;
  }

  /** Whether this kernel answers at all. */
  void tryOut() throws KernelCallException {
    long answer = bytes(0, Pages.SIZE_BYTES, SWAPPED);
    if (answer < 0) {
      throw new KernelCallException(SCAN.name(), PAGEMAP, (int) -answer);
    }
  }

  @Override
  public void close() {
    pagemap.close();
  }
}
