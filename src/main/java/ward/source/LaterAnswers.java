package ward.source;

import java.util.concurrent.ExecutorService;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import ward.channel.PageChannel;

/**
 * What is known only after the disk was waited for, on its way to a peer: one after the other, on a
 * thread of its own. Whoever has an answer never waits for a peer that takes nothing.
 */
final class LaterAnswers {

  /**
   * Answers that wait for a peer to take them: far more than a guest has vCPUs. A peer that asks on
   * and takes nothing loses its connection.
   */
  static final int MAX = 65_536;

  private final Consumer<PageChannel.Words> out;
  private final Runnable onTooMany;
  private final ExecutorService thread =
      new ThreadPoolExecutor(
          1,
          1,
          0,
          TimeUnit.SECONDS,
          new LinkedBlockingQueue<>(MAX),
          task -> {
            Thread made = new Thread(task, "ward-later");
            made.setDaemon(true);
            return made;
          });

  /**
   * @param out sends, and may wait for the peer
   * @param onTooMany ends the connection; called by whoever had the answer that has no room, or one
   *     after the end
   */
  LaterAnswers(Consumer<PageChannel.Words> out, Runnable onTooMany) {
    this.out = out;
    this.onTooMany = onTooMany;
  }

  /** From any thread. */
  void send(PageChannel.Words words) {
    try {
      thread.execute(() -> out.accept(words));
    } catch (RejectedExecutionException e) {
      onTooMany.run();
    }
  }

  /** Of what comes after this, nothing is sent. */
  void end() {
    thread.shutdown();
  }
}
