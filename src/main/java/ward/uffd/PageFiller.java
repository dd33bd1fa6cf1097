package ward.uffd;

import ward.kernel.ZeroPages;

/**
 * Ends the faults of a registered range, one way or another.
 *
 * <p>Addresses are host-virtual, and they and the lengths are multiples of 4096 bytes; anything
 * else is {@link FillResult.Outcome#REFUSED} with {@code EINVAL}. Safe for several threads at once.
 *
 * <p><b>Filling a poisoned page heals it.</b> {@link #copy} over a poison marker succeeds, and so
 * does {@link #zero} on shared memory (seen on Linux 6.18): the lost page then reads as if nothing
 * had happened. Whoever calls these owns a record of which pages are poisoned and asks it first.
 */
public interface PageFiller {

  /**
   * Fills a missing range with bytes and wakes whoever faulted on it.
   *
   * @param sourceAddress of the bytes, host-virtual; need not be aligned
   * @see <a href="https://man7.org/linux/man-pages/man2/UFFDIO_COPY.2const.html">UFFDIO_COPY</a>
   */
  FillResult copy(long hostAddress, long sourceAddress, long lengthBytes);

  /**
   * The same, but the bytes lie in private anonymous memory of this process that is not registered,
   * and are not needed there afterwards: the pages themselves may be moved. Never fills what is not
   * missing where it moves; where it copies, it does as {@link #copy}.
   *
   * @param sourceAddress of the bytes, host-virtual, a multiple of 4096; of those that were not
   *     done the bytes are still there
   */
  FillResult take(long hostAddress, long sourceAddress, long lengthBytes);

  /** Whether {@link #take} would move these pages, and not copy them. */
  default boolean moves(long hostAddress, long sourceAddress, long lengthBytes) {
    return false;
  }

  /**
   * Puts pages that lie together in such memory where each belongs, counted from the first, and
   * makes the others zeros.
   *
   * @param bitsAddress of a bit for each page, from the lowest of 64-bit words on: set where it has
   *     bytes
   */
  default void spread(long sourceAddress, long lengthBytes, long bitsAddress) {
    ZeroPages.unpack(sourceAddress, lengthBytes / ZeroPages.PAGE_BYTES, bitsAddress);
  }

  /**
   * Fills a missing range with zeros and wakes whoever faulted on it.
   *
   * @see <a
   *     href="https://man7.org/linux/man-pages/man2/UFFDIO_ZEROPAGE.2const.html">UFFDIO_ZEROPAGE</a>
   */
  FillResult zero(long hostAddress, long lengthBytes);

  /**
   * Gives a range that the guest gave back to it again: zeros, or what shared memory still holds
   * there because only the mapping of it was given back. Wakes whoever faulted on it.
   */
  default FillResult renew(long hostAddress, long lengthBytes) {
    return zero(hostAddress, lengthBytes);
  }

  /**
   * Somebody waits for a range although it has its content, or is about to have it: lets them try
   * again, with the content mapped if the kernel has taken it out of the page table meanwhile.
   */
  default void revive(long hostAddress, long lengthBytes) {
    wake(hostAddress, lengthBytes);
  }

  /** Pages that the guest gets, or loses, together: more than 1 where its pages are huge. */
  default int unitPages() {
    return 1;
  }

  /** What a page was that the guest will never see. */
  enum Unseen {
    /** Not one of those: what it holds, it holds. */
    NONE,
    DATA,
    ZEROS
  }

  /**
   * Takes a page's content away again that nobody can have seen, because it is in a huge page of
   * which another part is lost: so all of it is.
   */
  default Unseen withdraw(long hostAddress) {
    return Unseen.NONE;
  }

  /**
   * Marks a missing range as poisoned and wakes whoever faulted on it; they receive SIGBUS.
   *
   * @see MarkerKind
   */
  FillResult poison(long hostAddress, long lengthBytes);

  /**
   * Lets whoever waits for a page of the range try again. A range without waiters is no error.
   *
   * @throws IllegalArgumentException if the range is empty or not aligned
   */
  void wake(long hostAddress, long lengthBytes);
}
