package ward.uffd;

import java.util.function.LongPredicate;
import jnr.constants.platform.Errno;
import ward.kernel.Kernel;
import ward.kernel.KernelCallException;
import ward.kernel.Linux;
import ward.memory.Pages;

/**
 * {@link MarkerKind#UFFD} in huge pages (hugetlbfs). {@code /proc/PID/pagemap} shows such a marker
 * as an empty entry; {@link PagemapScan} tells the two apart.
 */
final class HugeMarker extends PoisonMarker {

  private final Kernel kernel;
  private final PagemapScan pagemap;

  private HugeMarker(Kernel kernel, PagemapScan pagemap) {
    this.kernel = kernel;
    this.pagemap = pagemap;
  }

  /**
   * @throws UserfaultfdException if this kernel cannot tell such markers from nothing
   */
  static HugeMarker open(Kernel kernel) throws UserfaultfdException {
    try {
      PagemapScan pagemap = PagemapScan.open(kernel);
      try {
        pagemap.tryOut();
        return new HugeMarker(kernel, pagemap);
      } catch (KernelCallException e) {
        pagemap.close();
        throw e;
      }
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
    return pagemap.bytes(unit, HugeWatcher.UNIT_BYTES, PagemapScan.SWAPPED) > 0
        && kernel.advise(unit, Pages.SIZE_BYTES, Linux.MADV_POPULATE_READ)
            == -Errno.EHWPOISON.intValue();
  }

  @Override
  public void close() {
    pagemap.close();
  }
}
