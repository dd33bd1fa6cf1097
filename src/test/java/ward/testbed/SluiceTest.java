package ward.testbed;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;

import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(60)
class SluiceTest {

  private static final Duration LONG = Duration.ofSeconds(50);

  private final List<Integer> passed = Collections.synchronizedList(new ArrayList<>());

  /** Arrivals in order, each on a thread of its own; whether each was overtaken. */
  private List<CompletableFuture<Boolean>> arrive(Sluice sluice, int count) throws Exception {
    List<CompletableFuture<Boolean>> all = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      int arrival = i;
      CompletableFuture<Boolean> overtaken = new CompletableFuture<>();
      Thread thread =
          new Thread(
              () -> {
                try {
                  overtaken.complete(sluice.pass());
                  passed.add(arrival);
                } catch (InterruptedException e) {
                  overtaken.completeExceptionally(e);
                }
              });
      thread.start();
      all.add(overtaken);
      while (i < count - 1 && thread.getState() != Thread.State.TIMED_WAITING) {
        Thread.onSpinWait(); // until it waits, the next one has not come
      }
    }
    return all;
  }

  @Test
  void whoCameFirstGoesLastIfTheOrderSaysSo() throws Exception {
    List<CompletableFuture<Boolean>> overtaken = arrive(new Sluice(List.of(2, 1, 0), LONG), 3);

    assertEquals(
        List.of(true, false, false), overtaken.stream().map(CompletableFuture::join).toList());
  }

  @Test
  void nobodyIsHeldWhenTheTimeIsOver() throws Exception {
    assertFalse(new Sluice(List.of(1, 0), Duration.ZERO).pass());
  }

  @Test
  void whoComesAfterAllThatAreMeantIsNotHeld() throws Exception {
    Sluice sluice = new Sluice(List.of(0), LONG);

    assertFalse(sluice.pass());
    assertFalse(sluice.pass());
    assertThat(passed).isEmpty();
  }
}
