package ward.source;

import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicLongArray;
import ward.memory.GuestLayout;
import ward.memory.PageRun;
import ward.memory.PageStates;

/**
 * Deals the guest's pages out to the stream connections, slice by slice, each once. First what is
 * near the latest faults: the guest is at work there, and what has come needs no request. Every
 * fourth slice is the next in order, whatever the guest does.
 */
final class StreamCursor {

  private static final long NONE = -1;
  private static final int UNDEALT = 0;
  private static final int DEALT = 1;

  /** Faults that are remembered; more are over before the stream comes there. */
  private static final int RECENT = 16;

  /** The rest of the huge page where the fault was, and the one behind it. */
  private static final int NEAR = 2;

  private static final int IN_ORDER_EVERY = 4;

  private final Slices slices;
  private final AtomicLongArray recent = new AtomicLongArray(RECENT);
  private final AtomicLong faults = new AtomicLong();
  private PageStates dealt;
  private long inOrder;
  private long turns;
  private volatile boolean paused;

  StreamCursor(GuestLayout layout, boolean paused) {
    this.slices = new Slices(layout);
    this.paused = paused;
    for (int i = 0; i < RECENT; i++) {
      recent.set(i, NONE);
    }
    startOver();
  }

  /** Deals all of them out again; what was sent is skipped by who sends. */
  synchronized void startOver() {
    dealt = new PageStates(slices.count());
    inOrder = 0;
  }

  /** A page was asked for. On the way of the answer: no object, no lock. */
  void faulted(long page) {
    recent.set((int) (faults.getAndIncrement() % RECENT), page);
  }

  /** How many were, so far. */
  long faults() {
    return faults.get();
  }

  /**
   * The next slice, within one region and within one huge page of the guest's addresses; null when
   * all are dealt.
   */
  synchronized PageRun next() {
    long slice = ++turns % IN_ORDER_EVERY == 0 ? NONE : nextNearFault();
    if (slice == NONE) {
      slice = nextInOrder();
    }
    return slice == NONE ? null : slices.run(slice);
  }

  private long nextInOrder() {
    while (inOrder < slices.count()) {
      if (deal(inOrder++)) {
        return inOrder - 1;
      }
    }
    return NONE;
  }

  /** Of the latest fault that has any. */
  private long nextNearFault() {
    long end = faults.get();
    for (long at = end - 1; at >= Math.max(0, end - RECENT); at--) {
      int place = (int) (at % RECENT);
      long page = recent.get(place);
      long slice = page == NONE ? NONE : nextNear(page);
      if (slice != NONE) {
        return slice;
      }
      recent.compareAndSet(place, page, NONE); // nothing is left there
    }
    return NONE;
  }

  private long nextNear(long page) {
    long at = slices.of(page);
    long end = Math.min(slices.count(), at + NEAR);
    while (at < end && !deal(at)) {
      at++;
    }
    return at < end ? at : NONE;
  }

  private boolean deal(long slice) {
    return dealt.compareAndSet(slice, UNDEALT, DEALT);
  }

  boolean isPaused() {
    return paused;
  }

  void pause(boolean pause) {
    this.paused = pause;
  }
}
