package ward.thread;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertSame;

import java.io.IOException;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(60)
class SessionThreadTest {

  private final BlockingQueue<Object> seen = new LinkedBlockingQueue<>();
  private final SessionThread thread = new SessionThread("source", seen::add);

  @AfterEach
  void close() {
    thread.close();
  }

  @Test
  void stepsRunInTheOrderInWhichTheyWereAskedFor() {
    for (int step = 0; step < 100; step++) {
      int number = step;
      thread.run(() -> seen.add(number));
    }
    thread.close();

    assertThat(List.copyOf(seen)).hasSize(100).isSortedAccordingTo((a, b) -> (int) a - (int) b);
  }

  @Test
  void whatAStepThrowsIsHeardAndTheNextOneRuns() throws InterruptedException {
    Error thrown = new AssertionError("worse than an exception");

    thread.run(
        () -> {
          throw thrown;
        });
    thread.run(() -> seen.add("next"));

    assertSame(thrown, seen.take());
    assertEquals("next", seen.take());
  }

  @Test
  void theFailureOfAQuestionIsTheAskersAlone() {
    CompletableFuture<String> answer =
        thread.answer(
            asked -> {
              throw new IOException("no");
            });

    assertThatThrownBy(answer::get)
        .isInstanceOf(ExecutionException.class)
        .hasMessageContaining("no");
    assertThat(seen).isEmpty();
  }

  @Test
  void whoeverAsksTooLateHearsWhoHasEnded() {
    thread.close();

    assertThatThrownBy(thread.answer(asked -> asked.complete("late"))::get)
        .hasCauseInstanceOf(IOException.class)
        .hasMessageContaining("the source has ended");
  }

  @Test
  void closingWaitsForWhatRunsAndDropsWhatIsNotDue() throws InterruptedException {
    CountDownLatch running = new CountDownLatch(1);
    thread.later(() -> seen.add("not due"), Duration.ofHours(1));
    thread.run(
        () -> {
          running.countDown();
          CountDownLatch never = new CountDownLatch(1);
          try {
            never.await(100, TimeUnit.MILLISECONDS);
          } catch (InterruptedException e) {
            seen.add(e);
          }
          seen.add("done");
        });
    running.await();

    thread.close();
    thread.run(() -> seen.add("after the end"));

    assertThat(List.copyOf(seen)).containsExactly("done");
  }
}
