package ward.source;

import java.util.concurrent.atomic.AtomicLong;
import ward.memory.GuestLayout;
import ward.memory.PageRun;
import ward.memory.Pages;

/** Deals the guest's pages out to the stream connections, slice by slice, each once. */
final class StreamCursor {

  /**
   * 2 MiB, a huge page: one that is sent as a whole is moved into the guest at the destination, as
   * a whole, where anything less is copied. Demand faults have another socket and other threads, so
   * that they wait for no slice.
   */
  static final int SLICE_PAGES = 512;

  private final GuestLayout layout;
  private final AtomicLong nextPage = new AtomicLong();
  private volatile boolean paused;

  StreamCursor(GuestLayout layout, boolean paused) {
    this.layout = layout;
    this.paused = paused;
  }

  /**
   * The next slice, within one region and within one huge page of the guest's addresses; null when
   * all are dealt.
   */
  PageRun next() {
    while (true) {
      long first = nextPage.get();
      if (first >= layout.pageCount()) {
        return null;
      }
      long count = Math.min(leftInHugePage(first), layout.pagesLeftInRegion(first));
      if (nextPage.compareAndSet(first, first + count)) {
        return new PageRun(first, count);
      }
    }
  }

  private long leftInHugePage(long page) {
    long frame = layout.addressOf(page) >>> Pages.SHIFT;
    return SLICE_PAGES - frame % SLICE_PAGES;
  }

  /** Deals all of them out again; what was sent is skipped by who sends. */
  void startOver() {
    nextPage.set(0);
  }

  boolean isPaused() {
    return paused;
  }

  void pause(boolean pause) {
    this.paused = pause;
  }
}
