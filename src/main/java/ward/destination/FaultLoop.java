package ward.destination;

import java.io.IOException;
import java.util.OptionalLong;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Consumer;
import java.util.function.LongConsumer;
import ward.channel.Lookout;
import ward.channel.Watched;
import ward.guest.GuestMemory;
import ward.memory.PageRun;
import ward.memory.Pages;
import ward.uffd.EventBatch;
import ward.uffd.Userfaultfd;

/**
 * Reads userfaultfd's events, and writes the requests by itself: a fault becomes a request without
 * a change of thread. The same thread looks after the connection that the answers come on.
 *
 * <p>Any thread may {@link #drain()}: one that is told EAGAIN because an event is unread must not
 * wait for another that may be waiting for it.
 */
final class FaultLoop implements Watched {

  private static final int BATCH = 64;

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
  private final Lookout lookout;
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
    lookout = new Lookout("ward-faults", onFailure);
  }

  /** Starts to wait for events. */
  void start() throws IOException {
    lookout.add(this);
  }

  /** From now on the thread that reads faults reads what comes on their connection, too. */
  void attend(Watched connection) throws IOException {
    lookout.add(connection);
  }

  /** Nothing is read any more when this returns; the descriptor stays open. */
  void end() {
    lookout.end();
  }

  @Override
  public int descriptor() {
    return userfaultfd.descriptor();
  }

  @Override
  public boolean isOver() {
    return ended;
  }

  @Override
  public boolean look() {
    return drain();
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
