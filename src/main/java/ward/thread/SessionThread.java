package ward.thread;

import java.io.IOException;
import java.time.Duration;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.ScheduledThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Does one thing after the other, in the order in which they were asked for, from any thread. It
 * may wait for the disk, and whatever is confined to it needs no lock.
 */
public final class SessionThread implements AutoCloseable {

  private static final Logger log = LoggerFactory.getLogger(SessionThread.class);
  private static final int CLOSE_SECONDS = 30;

  /** Something that may fail. */
  @FunctionalInterface
  public interface Step {
    void run() throws IOException;
  }

  /** Something that somebody waits for; its failure is theirs alone. */
  @FunctionalInterface
  public interface Question<T> {
    void run(CompletableFuture<T> answer) throws IOException;
  }

  private final String owner;
  private final Consumer<Throwable> onFailure;
  private final ScheduledThreadPoolExecutor thread =
      new ScheduledThreadPoolExecutor(1, task -> new Thread(task, "ward-session"));

  /**
   * @param owner whose it is, for the message to whoever comes too late
   * @param onFailure hears what a step threw, on this thread
   */
  public SessionThread(String owner, Consumer<Throwable> onFailure) {
    this.owner = owner;
    this.onFailure = onFailure;
    thread.setExecuteExistingDelayedTasksAfterShutdownPolicy(false); // what is due still runs
  }

  /** Not at all once this is closed. */
  public void run(Step step) {
    later(step, Duration.ZERO);
  }

  /** Not at all if this is closed by then. */
  public void later(Step step, Duration delay) {
    try {
      thread.schedule(() -> tryTo(step), delay.toNanos(), TimeUnit.NANOSECONDS);
    } catch (RejectedExecutionException e) {
      log.debug("after the end: {}", step);
    }
  }

  /** At once, on the caller's thread, which is this one. */
  public void tryTo(Step step) {
    try {
      step.run();
    } catch (Throwable e) { // whatever it is, somebody waits for the outcome
      onFailure.accept(e);
    }
  }

  /**
   * Asks for something.
   *
   * @return fails with what the question threw, or with an IOException if this is closed
   */
  public <T> CompletableFuture<T> answer(Question<T> question) {
    CompletableFuture<T> answer = new CompletableFuture<>();
    try {
      thread.execute(() -> answer(question, answer));
    } catch (RejectedExecutionException e) {
      answer.completeExceptionally(new IOException("the %s has ended".formatted(owner)));
    }
    return answer;
  }

  private static <T> void answer(Question<T> question, CompletableFuture<T> answer) {
    try {
      question.run(answer);
    } catch (IOException | RuntimeException e) {
      answer.completeExceptionally(e);
    }
  }

  /** What runs may be in the middle of an append or an ioctl: it ends before this returns. */
  @Override
  public void close() {
    thread.shutdown();
    try {
      if (!thread.awaitTermination(CLOSE_SECONDS, TimeUnit.SECONDS)) {
        log.warn("the session's thread did not end within {} seconds", CLOSE_SECONDS);
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }
}
