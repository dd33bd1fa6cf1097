package ward.vcpu;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.TimeUnit;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import ward.guest.Guest;
import ward.guest.GuestExit;
import ward.guest.GuestMemory;
import ward.kernel.Kernel;

/** A guest of threads that read its memory; see {@link ThreadGuestFactory}. */
final class ThreadGuest implements Guest {

  private static final Logger LOG = LoggerFactory.getLogger(ThreadGuest.class);

  /** Reading one page takes microseconds: whoever needs longer waits for it to arrive. */
  private static final long STOP_MILLIS_MAX = 1_000;

  /** A signal only makes the processor try the same load again. */
  private static final Runnable NO_KICK = () -> {};

  private final Kernel kernel;
  private final MappedMemory mapped;
  private final List<TouchLoop> loops = new ArrayList<>();
  private final List<Thread> threads = new ArrayList<>();
  private final CompletableFuture<GuestExit> exited = new CompletableFuture<>();
  private int running;
  private boolean closed;

  ThreadGuest(Kernel kernel, MappedMemory mapped) {
    this.kernel = kernel;
    this.mapped = mapped;
  }

  /** Starts a thread for each walk; they wait at their gates. */
  void start(List<Walk> walks) {
    running = walks.size();
    for (int i = 0; i < walks.size(); i++) {
      TouchLoop loop = new TouchLoop(i, walks.get(i), this::onEnd);
      loops.add(loop);
      threads.add(new Thread(loop, "toucher-" + i));
    }
    threads.forEach(thread -> thread.setDaemon(true));
    threads.forEach(Thread::start);
  }

  @Override
  public GuestMemory memory() {
    return mapped.memory();
  }

  @Override
  public void resume() {
    loops.forEach(loop -> loop.gate().resume());
  }

  /**
   * {@inheritDoc}
   *
   * <p>A thread that waits for a missing page cannot be brought out of its load: a signal only
   * makes the processor try it again. This method returns when all others stand still; those stop
   * as soon as their page has come, and report that one page late.
   */
  @Override
  public void pause() {
    requireOtherThread();
    loops.forEach(loop -> loop.gate().forbid());
    long deadline = System.nanoTime() + TimeUnit.MILLISECONDS.toNanos(STOP_MILLIS_MAX);
    long waiting =
        loops.stream().filter(loop -> !loop.gate().awaitOutsideUntil(deadline, NO_KICK)).count();
    if (waiting > 0) {
      LOG.info("{} of {} threads wait for a page and stop when it comes", waiting, loops.size());
    }
  }

  private void requireOtherThread() {
    if (threads.contains(Thread.currentThread())) {
      throw new IllegalStateException(
          "%s cannot stop the guest that it belongs to; use another thread"
              .formatted(Thread.currentThread().getName()));
    }
  }

  /** {@inheritDoc} Threads have no state that could move: empty. */
  @Override
  public byte[] save() {
    return new byte[0];
  }

  @Override
  public CompletionStage<GuestExit> exited() {
    return exited;
  }

  private synchronized void onEnd(Optional<GuestExit> exit) {
    running--;
    if (exit.isPresent()) {
      loops.forEach(loop -> loop.gate().end());
      exited.completeAsync(exit::get);
    } else if (running == 0) {
      exited.completeAsync(
          () -> new GuestExit(GuestExit.Kind.POWERED_OFF, "every thread has read its share"));
    }
  }

  /**
   * {@inheritDoc}
   *
   * <p>While a thread waits for a page the memory stays mapped: under its feet it could only crash
   * the process.
   */
  @Override
  public void close() {
    requireOtherThread();
    synchronized (this) {
      if (closed) {
        return;
      }
      closed = true;
    }
    loops.forEach(loop -> loop.gate().end());
    long deadline = System.nanoTime() + TimeUnit.MILLISECONDS.toNanos(STOP_MILLIS_MAX);
    long waiting =
        loops.stream().filter(loop -> !loop.gate().awaitOutsideUntil(deadline, NO_KICK)).count();
    if (waiting == 0) {
      mapped.close();
    } else {
      LOG.error("{} threads still wait for a page; the memory stays mapped", waiting);
    }
  }

  @Override
  public String toString() {
    return "guest of threads " + memory().layout().guest();
  }
}
