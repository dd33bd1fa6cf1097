package ward.uffd;

import jnr.constants.platform.Errno;
import ward.kernel.Kernel;
import ward.kernel.Linux;
import ward.kernel.NativeMemory;
import ward.memory.PageStates;
import ward.memory.Pages;
import ward.uffd.FillResult.Outcome;

/**
 * Fills shared memory. The kernel makes the file's page and maps it in one step ({@code
 * UFFDIO_COPY}); nobody sees it before it is whole, also in another mapping. Where the file has the
 * page already, the bytes are written through the other mapping, then {@code UFFDIO_CONTINUE} maps
 * it in the watched one. Until then a touch waits, though the page is in the file: it is watched
 * for minor faults too.
 *
 * <p>The kernel may take a page out of the watched mapping again, when it swaps it out for
 * instance, and whoever touches it then waits a second time, also when its content is here. So it
 * is remembered what was mapped once: that alone may be mapped again, and is never written again,
 * since the guest may have written it meanwhile. Of a page that was never mapped the file may hold
 * half.
 */
final class SharedWatcher implements Watcher {

  private static final int MAPPED = 1;
  private static final int ANY = 1 | 1 << MAPPED; // as a mask of states

  private final Kernel kernel;
  private final Userfaultfd userfaultfd;
  private final SecondMapping second;
  private final PageStates mapped;
  private final NativeMemory zeros = NativeMemory.allocate(Pages.SIZE_BYTES);

  SharedWatcher(Kernel kernel, Userfaultfd userfaultfd, SecondMapping second) {
    this.kernel = kernel;
    this.userfaultfd = userfaultfd;
    this.second = second;
    this.mapped = new PageStates(second.pageCount());
  }

  @Override
  public void register(long hostAddress, long lengthBytes) throws UserfaultfdException {
    userfaultfd.registerShared(hostAddress, lengthBytes);
  }

  /**
   * Writing in the other mapping first would cost a fault there for each page, which the kernel
   * fills with zeros before the bytes come, and a call more.
   *
   * @see <a href="https://man7.org/linux/man-pages/man2/UFFDIO_COPY.2const.html">UFFDIO_COPY</a>
   */
  @Override
  public FillResult copy(long hostAddress, long sourceAddress, long lengthBytes) {
    long page = second.pageAt(hostAddress);
    FillResult result = userfaultfd.copy(hostAddress, sourceAddress, lengthBytes);
    note(page, result);
    return isInTheFileOnly(page, result)
        ? overwrite(hostAddress, page, sourceAddress).ofMore(lengthBytes)
        : result;
  }

  private boolean isInTheFileOnly(long page, FillResult result) {
    return result.outcome() == Outcome.ALREADY_RESOLVED && mapped.get(page) != MAPPED;
  }

  /** Of one page, which the file has and the guest has not. */
  private FillResult overwrite(long hostAddress, long page, long sourceAddress) {
    long written = kernel.copy(second.addressOf(page), sourceAddress, Pages.SIZE_BYTES);
    return written == Pages.SIZE_BYTES ? map(hostAddress, page, Pages.SIZE_BYTES) : noRoom(written);
  }

  @Override
  public FillResult take(long hostAddress, long sourceAddress, long lengthBytes) {
    return copy(hostAddress, sourceAddress, lengthBytes);
  }

  /** The file has no room for the page: that, too, is answered by {@code EFAULT}. */
  private static FillResult noRoom(long written) {
    return written >= 0 || written == -Errno.EFAULT.intValue()
        ? new FillResult(Outcome.OUT_OF_MEMORY, 0, Errno.ENOMEM.intValue())
        : new FillResult(Outcome.REFUSED, 0, (int) -written);
  }

  private FillResult map(long hostAddress, long page, long lengthBytes) {
    FillResult result = userfaultfd.continueRange(hostAddress, lengthBytes);
    note(page, result);
    return result;
  }

  private void note(long firstPage, FillResult result) {
    long done = result.doneBytes() >>> Pages.SHIFT;
    mapped.moveLeading(firstPage, firstPage + done, ANY, MAPPED);
  }

  /**
   * The kernel makes an empty page of the file, unless the file has the page. It has if its pages
   * are huge, and a neighbour was written; there may be anything in it.
   */
  @Override
  public FillResult zero(long hostAddress, long lengthBytes) {
    long page = second.pageAt(hostAddress);
    FillResult result = userfaultfd.zero(hostAddress, lengthBytes);
    note(page, result);
    return isInTheFileOnly(page, result)
        ? overwrite(hostAddress, page, zeros.address()).ofMore(lengthBytes)
        : result;
  }

  /**
   * {@code MADV_REMOVE} has emptied the file there; after {@code MADV_DONTNEED} it is as it was.
   */
  @Override
  public FillResult renew(long hostAddress, long lengthBytes) {
    long page = second.pageAt(hostAddress);
    FillResult zeros = userfaultfd.zero(hostAddress, lengthBytes);
    note(page, zeros);
    return zeros.outcome() == Outcome.ALREADY_RESOLVED
        ? map(hostAddress, page, Pages.SIZE_BYTES).ofMore(lengthBytes)
        : zeros;
  }

  @Override
  public void revive(long hostAddress, long lengthBytes) {
    long page = second.pageAt(hostAddress);
    boolean wasMapped = mapped.get(page) == MAPPED;
    if (!wasMapped || map(hostAddress, page, lengthBytes).outcome() != Outcome.COMPLETED) {
      wake(hostAddress, lengthBytes);
    }
  }

  /**
   * The file has a hole there first. A marker is in the watched mapping alone: when the kernel
   * makes a huge page of the file's small ones it throws that part of the mapping's page table
   * away, and the lost page would read as what the file has (seen on Linux 6.18 with {@code
   * MADV_COLLAPSE}). Around a hole in watched memory it makes none ({@code collapse_file} in
   * mm/khugepaged.c).
   */
  @Override
  public FillResult poison(long hostAddress, long lengthBytes) {
    long from = second.addressOf(second.pageAt(hostAddress));
    int answer = kernel.advise(from, lengthBytes, Linux.MADV_REMOVE);
    return answer < 0
        ? new FillResult(Outcome.REFUSED, 0, -answer)
        : userfaultfd.poison(hostAddress, lengthBytes);
  }

  /** Where the kernel refuses half-way, it has unmapped pages: their next touch maps them again. */
  @Override
  public FillResult collapse(long hostAddress, long lengthBytes) {
    return userfaultfd.collapse(hostAddress, lengthBytes);
  }

  @Override
  public void wake(long hostAddress, long lengthBytes) {
    userfaultfd.wake(hostAddress, lengthBytes);
  }
}
