package ward.destination;

import io.netty.channel.IoEvent;
import io.netty.channel.IoEventLoop;
import io.netty.channel.IoRegistration;
import io.netty.channel.epoll.EpollIoHandle;
import io.netty.channel.epoll.EpollIoOps;
import io.netty.channel.unix.FileDescriptor;
import io.netty.util.concurrent.Future;
import java.io.IOException;
import java.util.Arrays;
import java.util.OptionalLong;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Consumer;
import java.util.function.LongConsumer;
import ward.guest.GuestMemory;
import ward.memory.PageRun;
import ward.memory.Pages;
import ward.uffd.EventBatch;
import ward.uffd.Userfaultfd;

/**
 * Reads userfaultfd's events, on the event loop that also writes the requests: a fault becomes a
 * request without a change of thread.
 *
 * <p>Any thread may {@link #drain()}: one that is told EAGAIN because an event is unread must not
 * wait for another that may be waiting for it.
 */
final class FaultLoop implements EpollIoHandle {

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

  /** Starts to wait for events on an event loop. */
  void start(IoEventLoop loop) {
    Future<IoRegistration> registration = loop.register(this);
    registration.addListener(
        done -> {
          if (done.isSuccess()) {
            registration.getNow().submit(EpollIoOps.EPOLLIN);
          } else {
            onFailure.accept(done.cause());
          }
        });
  }

  @Override
  public FileDescriptor fd() {
    return new FileDescriptor(userfaultfd.descriptor());
  }

  @Override
  public void handle(IoRegistration registration, IoEvent event) {
    drain();
    registration.submit(EpollIoOps.EPOLLIN);
  }

  @Override
  public void close() {
    // The descriptor belongs to the session, and lives as long as the guest.
  }

  /** Reads and handles events until there are none. */
  void drain() {
    try {
      for (long[] faults = read(); faults != null; faults = read()) {
        for (long page : faults) {
          onFault.accept(page);
        }
        afterBatch.run();
      }
    } catch (IOException | RuntimeException e) {
      onFailure.accept(e);
    }
  }

  /** The pages that are waited for; null when no event is left. */
  private long[] read() throws IOException {
    reading.lock();
    givenBack.notingEvents().lock();
    try {
      int events = userfaultfd.readEvents(batch);
      return events == 0 ? null : sorted(events);
    } finally {
      givenBack.notingEvents().unlock();
      reading.unlock();
    }
  }

  private long[] sorted(int events) {
    long[] faults = new long[events];
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
    return Arrays.copyOf(faults, count);
  }

  private long pageAt(long hostAddress) {
    OptionalLong page = memory.pageAtHostAddress(hostAddress);
    return page.orElseThrow(
        () ->
            new IllegalStateException(
                "userfaultfd reports a fault at 0x%x, outside the guest's memory"
                    .formatted(hostAddress)));
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
