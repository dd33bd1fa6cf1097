package ward.source;

import java.util.concurrent.CompletableFuture;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.ScheduledThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import ward.kernel.Niceness;

/** A stream's own thread, which may wait in its socket for as long as the peer takes. */
final class StreamThread implements BackgroundStream.Turns {

  private final CompletableFuture<Void> ended = new CompletableFuture<>();
  private final Consumer<Throwable> onFailure;
  private final ScheduledThreadPoolExecutor thread =
      new ScheduledThreadPoolExecutor(1, StreamThread::daemon) {
        @Override
        protected void terminated() {
          ended.complete(null);
        }
      };

  /**
   * @param onFailure hears what a turn threw, on this thread
   */
  StreamThread(Consumer<Throwable> onFailure) {
    this.onFailure = onFailure;
    thread.setExecuteExistingDelayedTasksAfterShutdownPolicy(false); // also those due at once
  }

  private static Thread daemon(Runnable task) {
    Thread thread = new Thread(() -> givingWay(task), "ward-stream");
    thread.setDaemon(true);
    return thread;
  }

  /** To whoever answers a guest that waits. */
  private static void givingWay(Runnable task) {
    Niceness.STREAM.take();
    task.run();
  }

  @Override
  public void take(Runnable turn) {
    later(turn, 0);
  }

  @Override
  public void later(Runnable turn, long delayMillis) {
    try {
      thread.schedule(() -> tryTo(turn), delayMillis, TimeUnit.MILLISECONDS);
    } catch (RejectedExecutionException e) {
      // The connection has ended: what it was to send is asked for by the next one.
    }
  }

  private void tryTo(Runnable turn) {
    try {
      turn.run();
    } catch (Throwable e) { // whatever it is, pages that were claimed do not come
      onFailure.accept(e);
    }
  }

  /**
   * No turn begins any more.
   *
   * @return completes when none is under way
   */
  CompletableFuture<Void> end() {
    thread.shutdown();
    return ended;
  }
}
