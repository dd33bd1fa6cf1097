package ward.destination;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.FutureTask;
import java.util.concurrent.atomic.AtomicInteger;
import ward.memory.PageRun;
import ward.thread.UninterruptedWait;

/**
 * Much work on pages, done by a thread on each processor. The guest does not run yet, so that they
 * have nothing else to do; the kernel lets several threads change one process's page tables, 2 MiB
 * of them at a time each. A million markers in 125,000 runs took 165 ms on one of two processors,
 * 90 ms on both.
 */
final class SharedWork {

  /** What can be done before another thread has begun. */
  private static final int RUNS_MIN = 4096;

  /**
   * What a thread takes at a time: the others go on where one has lost its processor for a while.
   */
  private static final int RUNS_AT_A_TIME = 512;

  /** Part of the work. */
  @FunctionalInterface
  interface Share {
    void of(List<PageRun> runs) throws ResolveException;
  }

  private SharedWork() {}

  /**
   * Returns when nothing is under way any more.
   *
   * @param runs in ascending order; each thread gets neighbours, some at a time
   * @throws ResolveException the first of a thread's; the other threads do their shares
   */
  static void over(List<PageRun> runs, Share share) throws ResolveException {
    int threads =
        Math.max(1, Math.min(Runtime.getRuntime().availableProcessors(), runs.size() / RUNS_MIN));
    AtomicInteger taken = new AtomicInteger();
    List<FutureTask<Void>> others = new ArrayList<>();
    for (int i = 1; i < threads; i++) {
      others.add(begin(() -> takeTurns(runs, taken, share)));
    }
    try {
      takeTurns(runs, taken, share);
    } finally {
      others.forEach(SharedWork::awaitEnd);
    }
    for (FutureTask<Void> other : others) {
      requireDone(other);
    }
  }

  private static Void takeTurns(List<PageRun> runs, AtomicInteger taken, Share share)
      throws ResolveException {
    int from = taken.getAndAdd(RUNS_AT_A_TIME);
    while (from < runs.size()) {
      share.of(runs.subList(from, Math.min(runs.size(), from + RUNS_AT_A_TIME)));
      from = taken.getAndAdd(RUNS_AT_A_TIME);
    }
    return null;
  }

  private static FutureTask<Void> begin(Callable<Void> turns) {
    FutureTask<Void> task = new FutureTask<>(turns);
    Thread thread = new Thread(task, "ward-markers");
    thread.setDaemon(true);
    thread.start();
    return task;
  }

  /**
   * However often the waiting thread is interrupted: what is under way uses its caller's memory.
   */
  private static void awaitEnd(FutureTask<Void> task) {
    UninterruptedWait.until(task::isDone, () -> awaitOnce(task));
  }

  private static void awaitOnce(FutureTask<Void> task) throws InterruptedException {
    try {
      task.get();
    } catch (ExecutionException e) {
      // it is done; told by requireDone
    }
  }

  private static void requireDone(FutureTask<Void> task) throws ResolveException {
    try {
      task.get();
    } catch (ExecutionException e) {
      if (e.getCause() instanceof ResolveException known) {
        throw known;
      }
      throw new IllegalStateException("a share of the work failed", e.getCause());
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt(); // cannot be: it is done
    }
  }
}
