package ward.destination;

import java.util.concurrent.locks.Lock;
import java.util.concurrent.locks.ReentrantReadWriteLock;
import ward.memory.PageRun;
import ward.memory.PageSet;

/**
 * The pages that the guest itself gave back (a balloon, {@code UFFD_EVENT_REMOVE}): their old
 * content must never be placed any more, and their next touch reads zeros, or poison.
 *
 * <p>Two threads could get this wrong together: one reads the event, and before it is noted here
 * another, which claimed the page earlier, places the old bytes. So events are read and noted under
 * {@link #notingEvents()}, and content is placed under {@link #placing()}. Between the moment the
 * kernel raises the event and the moment it is read, every ioctl answers {@code EAGAIN}, so no
 * third window is left.
 */
final class GivenBack {

  private final ReentrantReadWriteLock lock = new ReentrantReadWriteLock();
  private final PageSet pages = new PageSet();
  private volatile boolean any;

  /** Held while content is placed; {@link #contains} may be called under it. */
  Lock placing() {
    return lock.readLock();
  }

  /** Held while events are read and noted. */
  Lock notingEvents() {
    return lock.writeLock();
  }

  /** Under {@link #notingEvents()}. */
  void add(PageRun run) {
    pages.add(run);
    any = true;
  }

  /** Every page given back so far. */
  PageSet copy() {
    lock.readLock().lock();
    try {
      return pages.copy();
    } finally {
      lock.readLock().unlock();
    }
  }

  /** Whether a page was given back; takes {@link #placing()} by itself. */
  boolean contains(long page) {
    if (!any) {
      return false;
    }
    lock.readLock().lock();
    try {
      return pages.contains(page);
    } finally {
      lock.readLock().unlock();
    }
  }

  /** How many pages of the run, from its first on, were not given back. */
  long leadingKept(long firstPage, long pageCount) {
    return leading(firstPage, pageCount, false);
  }

  /** How many pages of the run, from its first on, were given back. */
  long leadingGivenBack(long firstPage, long pageCount) {
    return leading(firstPage, pageCount, true);
  }

  private long leading(long firstPage, long pageCount, boolean givenBack) {
    if (!any) {
      return givenBack ? 0 : pageCount;
    }
    lock.readLock().lock();
    try {
      return pages.leading(firstPage, pageCount, givenBack);
    } finally {
      lock.readLock().unlock();
    }
  }
}
