package ward.source;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import ward.channel.PageChannel;

@Timeout(60)
class LaterAnswersTest {

  private static final long PATIENCE_SECONDS = 30;

  private final CountDownLatch begun = new CountDownLatch(1);
  private final CountDownLatch peerTakes = new CountDownLatch(1);
  private final List<PageChannel.Words> taken = Collections.synchronizedList(new ArrayList<>());
  private final AtomicInteger tooMany = new AtomicInteger();
  private final LaterAnswers later = new LaterAnswers(this::take, tooMany::incrementAndGet);

  private void take(PageChannel.Words words) {
    begun.countDown();
    try {
      if (peerTakes.await(PATIENCE_SECONDS, TimeUnit.SECONDS)) {
        taken.add(words);
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  @AfterEach
  void end() {
    peerTakes.countDown();
    later.end();
  }

  /** One more is on its way to the peer already. */
  private void fill() throws InterruptedException {
    later.send(words("first"));
    assertTrue(begun.await(PATIENCE_SECONDS, TimeUnit.SECONDS));
    for (int i = 0; i < LaterAnswers.MAX; i++) {
      later.send(words("another"));
    }
  }

  private static PageChannel.Words words(String text) {
    return out -> {
      throw new UnsupportedOperationException("nobody writes \"" + text + "\" here");
    };
  }

  @Test
  void aPeerThatTakesNothingLosesItsConnectionWithTheFirstAnswerThatHasNoRoom() throws Exception {
    fill();
    int before = tooMany.get();

    later.send(words("one too many"));

    assertThat(before).isZero();
    assertThat(tooMany).hasValue(1);
  }

  @Test
  void answersThatWaitedGoOutInTheirOrder() throws Exception {
    List<PageChannel.Words> words = List.of(words("a"), words("b"), words("c"));
    words.forEach(later::send);
    later.end(); // what waits still goes out

    peerTakes.countDown();

    long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(PATIENCE_SECONDS);
    while (taken.size() < words.size() && System.nanoTime() < deadline) {
      Thread.sleep(1);
    }
    assertThat(taken).isEqualTo(words);
  }

  @Test
  void anAnswerAfterTheEndIsNotSent() {
    later.end();

    later.send(words("too late"));

    assertThat(tooMany).hasValue(1);
    assertThat(taken).isEmpty();
  }
}
