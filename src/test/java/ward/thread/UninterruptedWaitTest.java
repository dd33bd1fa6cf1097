package ward.thread;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(20)
class UninterruptedWaitTest {

  @Test
  void itWaitsOnHoweverOftenItIsInterruptedAndTheThreadKnowsAfterwards() {
    AtomicInteger attempts = new AtomicInteger();
    CountDownLatch never = new CountDownLatch(1);

    UninterruptedWait.until(
        () -> attempts.get() == 3,
        () -> {
          attempts.incrementAndGet();
          Thread.currentThread().interrupt();
          never.await();
        });

    assertThat(Thread.interrupted()).isTrue();
    assertThat(attempts).hasValue(3);
  }

  @Test
  void aThreadThatNobodyInterruptedIsNotAfterwards() {
    AtomicInteger attempts = new AtomicInteger();

    UninterruptedWait.until(() -> attempts.get() == 2, attempts::incrementAndGet);

    assertThat(Thread.interrupted()).isFalse();
  }

  @Test
  void whatIsOverAlreadyIsNotWaitedFor() {
    Thread.currentThread().interrupt();

    UninterruptedWait.until(
        () -> true,
        () -> {
          throw new AssertionError("waited");
        });

    assertThat(Thread.interrupted()).as("interrupted before, and still so").isTrue();
  }
}
