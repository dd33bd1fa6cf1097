package ward.source;

import jnr.constants.platform.Errno;
import ward.guest.GuestMemory;
import ward.kernel.Kernel;
import ward.kernel.KernelCallException;
import ward.kernel.Linux;
import ward.memory.Pages;

/**
 * Reads guest memory that may be poisoned, only in ways that answer with an errno: a lost page ends
 * a read, never the process.
 */
final class PageReader {

  private final Kernel kernel;
  private final ServedMemory served;
  private final GuestMemory memory;

  PageReader(Kernel kernel, ServedMemory served) {
    this.kernel = kernel;
    this.served = served;
    this.memory = served.memory();
  }

  /** For memory that has no empty pages. */
  PageReader(Kernel kernel, GuestMemory memory) {
    this(kernel, ServedMemory.ofThisProcess(memory));
  }

  /** As {@link ServedMemory#emptyPages}. */
  long emptyPages(long firstPage, long most) {
    return served.emptyPages(firstPage, most);
  }

  /** As {@link ServedMemory#filledPages}. */
  long filledPages(long firstPage, long most) {
    return served.filledPages(firstPage, most);
  }

  /** Why the page after the readable ones could not be read. */
  enum Stop {
    /** All of them were. */
    NONE,
    /** The page's content is lost. */
    LOST,
    /** Something else: no reason to call it lost. */
    FAILED
  }

  /**
   * @param readablePages leading pages that were copied
   * @param reason for people; empty unless FAILED
   */
  record Result(long readablePages, Stop stop, String reason) {}

  /** What nearly every demand fault finds. */
  private static final Result ONE_PAGE = new Result(1, Stop.NONE, "");

  /**
   * Copies pages next to each other in one region.
   *
   * @param toAddress of a buffer of ours with room for all of them
   */
  Result read(long firstPage, long pageCount, long toAddress) {
    long address = memory.hostAddressOf(firstPage);
    long bytes = Pages.bytes(pageCount);
    long copied = Math.max(0, kernel.load(toAddress, address, bytes));
    long pages = copied >>> Pages.SHIFT;
    if (pages == pageCount) {
      return pages == 1 ? ONE_PAGE : new Result(pages, Stop.NONE, "");
    }
    return diagnose(pages, memory.hostAddressOf(firstPage + pages));
  }

  /**
   * The copy only says that the page is bad (EFAULT); this probe's errno says whether it is lost.
   */
  private Result diagnose(long readablePages, long address) {
    int probe = kernel.advise(address, Pages.SIZE_BYTES, Linux.MADV_POPULATE_READ);
    if (probe == -Errno.EHWPOISON.intValue()) {
      return new Result(readablePages, Stop.LOST, "");
    }
    String why =
        probe == 0
            ? "unreadable once, readable now"
            : "MADV_POPULATE_READ: " + KernelCallException.describe(-probe);
    return new Result(readablePages, Stop.FAILED, why);
  }
}
