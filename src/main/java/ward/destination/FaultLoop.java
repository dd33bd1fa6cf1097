package ward.destination;

import java.io.IOException;
import java.util.OptionalLong;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Consumer;
import java.util.function.LongConsumer;
import ward.channel.Patience;
import ward.guest.GuestMemory;
import ward.memory.PageRun;
import ward.memory.Pages;
import ward.uffd.EventBatch;
import ward.uffd.Userfaultfd;

/**
 * Reads userfaultfd's events, on a thread that waits for nothing else and writes the requests by
 * itself: a fault becomes a request without a change of thread.
 *
 * <p>Any thread may {@link #drain()}: one that is told EAGAIN because an event is unread must not
 * wait for another that may be waiting for it.
 */
final class FaultLoop {

  private static final int BATCH = 64;

  /** How long an end may go unnoticed while no page is touched. */
  private static final int END_NOTICED_MILLIS = 100;

  private final Userfaultfd userfaultfd;
  private final GuestMemory memory;
  private final GivenBack givenBack;
  private final LongConsumer onFault;
  private final Consumer<PageRun> onGivenBack;
  private final Runnable afterBatch;
  private final Consumer<Throwable> onFailure;
  private final DestinationListener listener;
  private final ReentrantLock reading = new ReentrantLock();
  private final EventBatch batch = new EventBatch(BATCH);
  private final AtomicReference<long[]> spare = new AtomicReference<>(new long[BATCH]);
  private final Thread thread = new Thread(this::run, "ward-faults");
  private volatile boolean ended;

  /** What the loop does with what it reads; all of it on the thread that drains. */
  record Reactions(
      LongConsumer onFault,
      Consumer<PageRun> onGivenBack,
      Runnable afterBatch,
      Consumer<Throwable> onFailure) {}

  FaultLoop(
      Userfaultfd userfaultfd,
      GuestMemory memory,
      GivenBack givenBack,
      Reactions reactions,
      DestinationListener listener) {
    this.userfaultfd = userfaultfd;
    this.memory = memory;
    this.givenBack = givenBack;
    this.onFault = reactions.onFault();
    this.onGivenBack = reactions.onGivenBack();
    this.afterBatch = reactions.afterBatch();
    this.onFailure = reactions.onFailure();
    this.listener = listener;
  }

  /** Starts to wait for events. */
  void start() {
    thread.setDaemon(true);
    thread.start();
  }

  /** Nothing is read any more when this returns; the descriptor stays open. */
  void end() {
    ended = true;
    boolean interrupted = false;
    while (thread.isAlive() && thread != Thread.currentThread()) {
      try {
        thread.join();
      } catch (InterruptedException e) {
        interrupted = true;
      }
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }

  private void run() {
    Patience patience = new Patience();
    Patience.Look look = this::drain;
    try {
      while (!ended) {
        if (!patience.pays(look) && userfaultfd.awaitEvents(END_NOTICED_MILLIS)) {
          drain();
        }
      }
    } catch (IOException | RuntimeException e) {
      onFailure.accept(e);
    }
  }

  /**
   * Reads and handles the events that there are; also in the middle of handling one.
   *
   * @return whether there were any
   */
  boolean drain() {
    long[] taken = spare.getAndSet(null);
    long[] faults = taken == null ? new long[BATCH] : taken;
    try {
      return drainInto(faults);
    } catch (IOException | RuntimeException e) {
      ended = true; // of the thread: what could not be read once is not tried for ever
      onFailure.accept(e);
      return false;
    } finally {
      spare.set(faults);
    }
  }

  /** What does not fill the batch was the last: no call is made to hear that nothing is left. */
  private boolean drainInto(long[] faults) throws IOException {
    boolean any = false;
    boolean full = true;
    while (full) {
      int count = read(faults);
      any |= count >= 0;
      full = batch.size() == BATCH;
      for (int i = 0; i < count; i++) {
        onFault.accept(faults[i]);
      }
      if (count > 0) {
        afterBatch.run();
      }
    }
    return any;
  }

  /**
   * @param faults gets the pages that are waited for
   * @return how many; -1 when no event is left
   */
  private int read(long[] faults) throws IOException {
    reading.lock();
    givenBack.notingEvents().lock();
    try {
      int events = userfaultfd.readEvents(batch);
      return events == 0 ? -1 : sort(events, faults);
    } finally {
      givenBack.notingEvents().unlock();
      reading.unlock();
    }
  }

  private int sort(int events, long[] faults) {
    int count = 0;
    for (int i = 0; i < events; i++) {
      switch (batch.type(i)) {
        case PAGEFAULT -> {
          long page = pageAt(batch.address(i));
          faults[count++] = page;
          listener.waits(batch.threadId(i), page);
        }
        case REMOVE, UNMAP -> note(batch.address(i), batch.endAddress(i));
        default -> {} // neither fork nor mremap is asked for
      }
    }
    listener.faultsRead(count);
    return count;
  }

  private long pageAt(long hostAddress) {
    long page = memory.pageOrNone(hostAddress);
    if (page == GuestMemory.NONE) {
      throw new IllegalStateException(
          "userfaultfd reports a fault at 0x%x, outside the guest's memory".formatted(hostAddress));
    }
    return page;
  }

  /** A range may cover several regions, and ends outside ours. */
  private void note(long startAddress, long endAddress) {
    long address = startAddress;
    while (address < endAddress) {
      OptionalLong page = memory.pageAtHostAddress(address);
      if (page.isEmpty()) {
        address += Pages.SIZE_BYTES;
        continue;
      }
      long left = memory.layout().pagesLeftInRegion(page.getAsLong());
      long count = Math.min(left, (endAddress - address) >>> Pages.SHIFT);
      PageRun run = new PageRun(page.getAsLong(), count);
      givenBack.add(run);
      onGivenBack.accept(run);
      address += Pages.bytes(count);
    }
  }
}
