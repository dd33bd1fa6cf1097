package ward.source;

import java.util.concurrent.atomic.AtomicLong;
import ward.memory.GuestLayout;
import ward.memory.PageRun;

/** Deals the guest's pages out to the stream connections, slice by slice, each once. */
final class StreamCursor {

  /** 256 KiB: long enough to be cheap, short enough that a demand fault never waits for much. */
  static final int SLICE_PAGES = 64;

  private final GuestLayout layout;
  private final AtomicLong nextPage = new AtomicLong();
  private volatile boolean paused;

  StreamCursor(GuestLayout layout, boolean paused) {
    this.layout = layout;
    this.paused = paused;
  }

  /** The next slice, within one region; null when all are dealt. */
  PageRun next() {
    while (true) {
      long first = nextPage.get();
      if (first >= layout.pageCount()) {
        return null;
      }
      long count = Math.min(SLICE_PAGES, layout.pagesLeftInRegion(first));
      if (nextPage.compareAndSet(first, first + count)) {
        return new PageRun(first, count);
      }
    }
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
