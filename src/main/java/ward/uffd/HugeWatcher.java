package ward.uffd;

import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicIntegerArray;
import java.util.concurrent.locks.LockSupport;
import jnr.constants.platform.Errno;
import ward.kernel.Kernel;
import ward.kernel.Linux;
import ward.kernel.NativeMemory;
import ward.memory.PageRun;
import ward.memory.PageSet;
import ward.memory.PageStates;
import ward.memory.Pages;
import ward.uffd.FillResult.Outcome;

/**
 * Fills huge pages of 2 MiB (hugetlbfs) with what arrives in pages of 4 KiB. They are put together
 * in the file, through its other mapping; {@code UFFDIO_CONTINUE} gives the guest a huge page once
 * all 512 of its pages have come. It is marked as lost once all 512 are lost: the kernel takes
 * neither ioctl for less. One of which some pages are lost and some are not is {@link #torn}, and
 * stays as it is: nobody sees anything of it.
 *
 * <p>A fault of the guest carries the address of the huge page.
 */
final class HugeWatcher implements Watcher {

  static final int UNIT_PAGES = 512;
  static final long UNIT_BYTES = Pages.bytes(UNIT_PAGES);

  // Of a page.
  private static final int NONE = 0;
  private static final int DATA = 1;
  private static final int ZEROS = 2;
  private static final int LOST = 3;

  // Of a huge page.
  private static final int OPEN = 0;
  private static final int MAPPED = 1;
  private static final int MARKED = 2;

  private static final long PAUSE_NANOS = 50_000;
  private static final long WRITER_NANOS_MAX = TimeUnit.SECONDS.toNanos(1);

  private final Kernel kernel;
  private final Userfaultfd userfaultfd;
  private final SecondMapping second;
  private final PageStates pages;
  private final AtomicIntegerArray came;
  private final AtomicIntegerArray lost;
  private final PageStates units; // changed under this object's monitor
  private final NativeMemory zeros = NativeMemory.allocate(Pages.SIZE_BYTES);

  HugeWatcher(Kernel kernel, Userfaultfd userfaultfd, SecondMapping second) {
    this.kernel = kernel;
    this.userfaultfd = userfaultfd;
    this.second = second;
    pages = new PageStates(second.pageCount());
    int unitCount = Math.toIntExact(second.pageCount() / UNIT_PAGES);
    came = new AtomicIntegerArray(unitCount);
    lost = new AtomicIntegerArray(unitCount);
    units = new PageStates(unitCount);
  }

  @Override
  public int unitPages() {
    return UNIT_PAGES;
  }

  @Override
  public void register(long hostAddress, long lengthBytes) throws UserfaultfdException {
    userfaultfd.registerHuge(hostAddress, lengthBytes);
  }

  private static int unitOf(long page) {
    return (int) (page / UNIT_PAGES);
  }

  /** What was written is not written again: the guest may have it by now, and its own bytes. */
  @Override
  public FillResult copy(long hostAddress, long sourceAddress, long lengthBytes) {
    long page = second.pageAt(hostAddress);
    if (pages.get(page) == NONE) {
      long written = kernel.copy(second.addressOf(page), sourceAddress, lengthBytes);
      if (written != lengthBytes) {
        return noRoom(written);
      }
    }
    return came(hostAddress, page, lengthBytes, DATA);
  }

  /** Huge pages are set aside beforehand, so that is no more than a moment's want. */
  private static FillResult noRoom(long written) {
    return written >= 0 || written == -Errno.EFAULT.intValue()
        ? new FillResult(Outcome.OUT_OF_MEMORY, 0, Errno.ENOMEM.intValue())
        : new FillResult(Outcome.REFUSED, 0, (int) -written);
  }

  @Override
  public FillResult take(long hostAddress, long sourceAddress, long lengthBytes) {
    return copy(hostAddress, sourceAddress, lengthBytes);
  }

  /** Nothing is written: what of a huge page has not been written is zeros. */
  @Override
  public FillResult zero(long hostAddress, long lengthBytes) {
    return came(hostAddress, second.pageAt(hostAddress), lengthBytes, ZEROS);
  }

  private FillResult came(long hostAddress, long first, long lengthBytes, int what) {
    long end = first + (lengthBytes >>> Pages.SHIFT);
    for (long page = first; page < end; page++) {
      if (pages.compareAndSet(page, NONE, what)) {
        came.incrementAndGet(unitOf(page));
      }
    }
    for (int unit = unitOf(first); unit <= unitOf(end - 1); unit++) {
      FillResult result = came.get(unit) == UNIT_PAGES ? map(hostAddress, first, unit) : null;
      if (result != null && result.outcome() != Outcome.COMPLETED) {
        return result;
      }
    }
    return new FillResult(Outcome.COMPLETED, lengthBytes, 0);
  }

  private static long addressOf(int unit, long hostAddress, long page) {
    return hostAddress + ((long) unit * UNIT_PAGES - page) * Pages.SIZE_BYTES;
  }

  /**
   * Of several threads that bring the last pages one maps it.
   *
   * @return never partial progress
   */
  private synchronized FillResult map(long hostAddress, long page, int unit) {
    if (units.get(unit) != OPEN) {
      return new FillResult(Outcome.COMPLETED, UNIT_BYTES, 0);
    }
    FillResult result = continueOrZeros(addressOf(unit, hostAddress, page), unit);
    if (result.outcome() == Outcome.COMPLETED) {
      units.compareAndSet(unit, OPEN, MAPPED);
    }
    return result;
  }

  /** One that nobody wrote is not in the file yet. */
  private FillResult continueOrZeros(long address, int unit) {
    FillResult result = userfaultfd.continueRange(address, UNIT_BYTES);
    if (result.errno() == Errno.EFAULT.intValue()) {
      long written =
          kernel.copy(
              second.addressOf((long) unit * UNIT_PAGES), zeros.address(), Pages.SIZE_BYTES);
      return written == Pages.SIZE_BYTES
          ? userfaultfd.continueRange(address, UNIT_BYTES)
          : noRoom(written);
    }
    return result;
  }

  /** The guest gave the page back. Where it had the huge page, it has it again. */
  @Override
  public FillResult renew(long hostAddress, long lengthBytes) {
    long page = second.pageAt(hostAddress);
    int unit = unitOf(page);
    FillResult result = came(hostAddress, page, lengthBytes, ZEROS);
    if (result.outcome() == Outcome.COMPLETED && units.get(unit) == MAPPED) {
      revive(hostAddress, lengthBytes);
    }
    return result;
  }

  /** Whoever waits for a huge page that is not whole yet goes on when it is. */
  @Override
  public void revive(long hostAddress, long lengthBytes) {
    long page = second.pageAt(hostAddress);
    int unit = unitOf(page);
    int state = units.get(unit);
    boolean mappedAgain = state == MAPPED && mapAgain(addressOf(unit, hostAddress, page), unit);
    if (state != OPEN && !mappedAgain) {
      wake(hostAddress, lengthBytes);
    }
  }

  private synchronized boolean mapAgain(long address, int unit) {
    return continueOrZeros(address, unit).outcome() == Outcome.COMPLETED;
  }

  @Override
  public FillResult poison(long hostAddress, long lengthBytes) {
    long first = second.pageAt(hostAddress);
    long end = first + (lengthBytes >>> Pages.SHIFT);
    for (long page = first; page < end; page++) {
      if (pages.compareAndSet(page, NONE, LOST)) {
        lost.incrementAndGet(unitOf(page));
      }
    }
    for (int unit = unitOf(first); unit <= unitOf(end - 1); unit++) {
      FillResult result = lost.get(unit) == UNIT_PAGES ? mark(hostAddress, first, unit) : null;
      if (result != null && result.outcome() != Outcome.COMPLETED) {
        return result;
      }
    }
    return new FillResult(Outcome.COMPLETED, lengthBytes, 0);
  }

  /** What the file has of it goes first: the room is wanted elsewhere. */
  private synchronized FillResult mark(long hostAddress, long page, int unit) {
    if (units.get(unit) == OPEN) {
      long from = second.addressOf((long) unit * UNIT_PAGES);
      kernel.advise(from, UNIT_BYTES, Linux.MADV_REMOVE);
    }
    FillResult result = userfaultfd.poison(addressOf(unit, hostAddress, page), UNIT_BYTES);
    boolean wasMarked = result.outcome() == Outcome.ALREADY_RESOLVED && units.get(unit) == MARKED;
    if (result.outcome() == Outcome.COMPLETED || wasMarked) {
      units.compareAndSet(unit, OPEN, MARKED);
      return new FillResult(Outcome.COMPLETED, UNIT_BYTES, 0);
    }
    return result;
  }

  @Override
  public Unseen withdraw(long hostAddress) {
    long page = second.pageAt(hostAddress);
    int unit = unitOf(page);
    if (lost.get(unit) == 0) {
      return Unseen.NONE;
    }
    int what = whatCame(page);
    if (what != DATA && what != ZEROS || !pages.compareAndSet(page, what, LOST)) {
      return Unseen.NONE;
    }
    came.decrementAndGet(unit);
    lost.incrementAndGet(unit);
    return what == DATA ? Unseen.DATA : Unseen.ZEROS;
  }

  /** Its one writer may be writing it just now. */
  private int whatCame(long page) {
    long deadline = System.nanoTime() + WRITER_NANOS_MAX;
    while (pages.get(page) == NONE && System.nanoTime() < deadline) {
      LockSupport.parkNanos(PAUSE_NANOS);
    }
    return pages.get(page);
  }

  @Override
  public PageSet torn() {
    PageSet torn = new PageSet();
    for (int unit = 0; unit < lost.length(); unit++) {
      int count = lost.get(unit);
      if (count > 0 && count < UNIT_PAGES) {
        torn.add(new PageRun((long) unit * UNIT_PAGES, UNIT_PAGES));
      }
    }
    return torn;
  }

  @Override
  public FillResult collapse(long hostAddress, long lengthBytes) {
    return new FillResult(Outcome.COMPLETED, lengthBytes, 0); // there is nothing smaller
  }

  /** All of every huge page: who waits for a part of one, waits at its beginning. */
  @Override
  public void wake(long hostAddress, long lengthBytes) {
    long page = second.pageAt(hostAddress);
    long lastPage = page + (lengthBytes >>> Pages.SHIFT) - 1;
    long unitCount = unitOf(lastPage) - unitOf(page) + 1L;
    userfaultfd.wake(addressOf(unitOf(page), hostAddress, page), unitCount * UNIT_BYTES);
  }
}
