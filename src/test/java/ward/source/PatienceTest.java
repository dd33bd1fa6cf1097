package ward.source;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assertions.assertEquals;

import java.time.Duration;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import ward.thread.SessionThread;

@Timeout(60)
class PatienceTest {

  private static final Duration SOON = Duration.ofMillis(10);
  private static final Duration LATER = Duration.ofMillis(20);

  private final BlockingQueue<Object> seen = new LinkedBlockingQueue<>();
  private final SessionThread thread = new SessionThread("source", seen::add);
  private final Course course = new Course(new SourceListener() {});
  private final Patience patience = new Patience(course, thread);

  @AfterEach
  void close() {
    thread.close();
  }

  @Test
  void whatWasWaitedForEarlierIsVoid() throws InterruptedException {
    thread.run(
        () -> {
          patience.giveUpAfter(SOON, () -> seen.add("the first"));
          patience.giveUpAfter(LATER, () -> seen.add("the second"));
        });

    assertEquals("the second", seen.take());
    assertThat(seen).isEmpty();
  }

  @Test
  void whatWasWaitedForInAnotherPhaseIsVoid() throws InterruptedException {
    thread.run(
        () -> {
          patience.giveUpAfter(SOON, () -> seen.add("given up"));
          course.enter(SourcePhase.SENDING_MAP, "somebody came");
          thread.later(() -> seen.add("long after"), LATER);
        });

    assertEquals("long after", seen.take());
  }
}
