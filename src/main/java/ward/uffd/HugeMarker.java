package ward.uffd;

import java.util.function.LongPredicate;
import jnr.constants.platform.Errno;
import ward.kernel.Fd;
import ward.kernel.Ioctl;
import ward.kernel.Kernel;
import ward.kernel.KernelCallException;
import ward.kernel.Linux;
import ward.kernel.NativeMemory;
import ward.memory.Pages;

/**
 * {@link MarkerKind#UFFD} in huge pages (hugetlbfs). {@code /proc/PID/pagemap} shows such a marker
 * as an empty entry; {@code PAGEMAP_SCAN} (Linux 6.7) tells the two apart.
 *
 * <pre>{@code
 * struct pm_scan_arg {
 *     __u64 size, flags, start, end, walk_end, vec, vec_len, max_pages;
 *     __u64 category_inverted, category_mask, category_anyof_mask, return_mask;
 * };
 * }</pre>
 *
 * @see <a href="https://docs.kernel.org/admin-guide/mm/pagemap.html">pagemap, PAGEMAP_SCAN</a>
 */
final class HugeMarker extends PoisonMarker {

  static final int SIZE_BYTES = 96;
  static final int START = 16;
  static final int END = 24;
  static final int VECTOR = 40;
  static final int VECTOR_LENGTH = 48;
  static final int CATEGORY_MASK = 72;
  static final int RETURN_MASK = 88;
  static final long SWAPPED = 1 << 4;
  static final Ioctl SCAN = Ioctl.readWrite("PAGEMAP_SCAN", 'f', 16, SIZE_BYTES);

  private static final String PAGEMAP = "/proc/self/pagemap";
  private static final int REGION_BYTES = 24; // of the one that is asked for

  private final Kernel kernel;
  private final Fd pagemap;

  private HugeMarker(Kernel kernel, Fd pagemap) {
    this.kernel = kernel;
    this.pagemap = pagemap;
  }

  /**
   * @throws UserfaultfdException if this kernel cannot tell such markers from nothing
   */
  static HugeMarker open(Kernel kernel) throws UserfaultfdException {
    try {
      HugeMarker marker = new HugeMarker(kernel, kernel.open(PAGEMAP, Linux.O_RDONLY));
      int answer = marker.scan(0);
      if (answer < 0) {
        marker.close();
        throw new KernelCallException(SCAN.name(), PAGEMAP, -answer);
      }
      return marker;
    } catch (KernelCallException e) {
      throw new UserfaultfdException(
          UserfaultfdException.Kind.NOT_SUPPORTED,
          "poison markers in huge pages: %s; Linux 6.7 or later has it".formatted(e.getMessage()),
          e);
    }
  }

  @Override
  public MarkerKind kind() {
    return MarkerKind.UFFD;
  }

  @Override
  FillResult place(Userfaultfd watcher, long hostAddress, long lengthBytes) {
    return watcher.fill(FillRequest.POISON, hostAddress, lengthBytes);
  }

  @Override
  LongPredicate withoutEntry() {
    return new LongPredicate() {
      private long last = -1;
      private boolean isMarked;

      @Override
      public boolean test(long page) {
        long unit = page & -HugeWatcher.UNIT_BYTES;
        if (unit != last) {
          last = unit;
          isMarked = isMarked(unit);
        }
        return isMarked;
      }
    };
  }

  /** Not empty, so that the question about it waits for nothing. */
  private boolean isMarked(long unit) {
    return scan(unit) > 0
        && kernel.advise(unit, Pages.SIZE_BYTES, Linux.MADV_POPULATE_READ)
            == -Errno.EHWPOISON.intValue();
  }

  /** How many ranges of a huge page hold neither a page nor nothing, 0 or 1; or {@code -errno}. */
  private int scan(long unit) {
    NativeMemory found = NativeMemory.allocate(REGION_BYTES);
    NativeMemory argument = NativeMemory.allocate(SIZE_BYTES);
    argument.putLong(0, SIZE_BYTES);
    argument.putLong(START, unit);
    argument.putLong(END, unit + HugeWatcher.UNIT_BYTES);
    argument.putLong(VECTOR, found.address());
    argument.putLong(VECTOR_LENGTH, 1);
    argument.putLong(CATEGORY_MASK, SWAPPED);
    argument.putLong(RETURN_MASK, SWAPPED);
    int answer = kernel.ioctl(pagemap, SCAN, argument);
    java.lang.ref.Reference.reachabilityFence(found);
    return answer;
  }

  @Override
  public void close() {
    pagemap.close();
  }
}
