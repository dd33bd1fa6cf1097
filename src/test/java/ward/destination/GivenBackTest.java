package ward.destination;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import org.junit.jupiter.api.Assertions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import ward.memory.PageRun;
import ward.memory.PageSet;

@Timeout(10)
class GivenBackTest {

  private final GivenBack givenBack = new GivenBack();

  @Test
  void splitsARunIntoPagesKeptAndPagesGivenBack() {
    givenBack.add(new PageRun(4, 3));

    assertThat(givenBack.leadingKept(0, 10)).isEqualTo(4);
    assertThat(givenBack.leadingGivenBack(0, 10)).isZero();
    assertThat(givenBack.leadingGivenBack(4, 10)).isEqualTo(3);
    assertThat(givenBack.leadingGivenBack(4, 2)).isEqualTo(2);
    assertThat(givenBack.leadingKept(5, 5)).isZero();
    assertThat(givenBack.leadingKept(7, 10)).isEqualTo(10);
  }

  @Test
  void keepsEverythingWhileNothingWasGivenBack() {
    assertThat(givenBack.leadingKept(0, 1L << 40)).isEqualTo(1L << 40);
    assertThat(givenBack.leadingGivenBack(0, 1L << 40)).isZero();
    assertThat(givenBack.contains(0)).isFalse();
  }

  @Test
  void aCopyDoesNotChange() {
    givenBack.add(new PageRun(1, 1));
    PageSet copy = givenBack.copy();

    givenBack.add(new PageRun(2, 1));

    assertThat(copy.contains(2)).isFalse();
    assertThat(givenBack.contains(2)).isTrue();
  }

  @Test
  void noEventIsNotedWhileContentIsPlaced() throws Exception {
    CompletableFuture<Void> noted;
    givenBack.placing().lock();
    try {
      noted = CompletableFuture.runAsync(this::note);

      Assertions.assertThrows(TimeoutException.class, () -> noted.get(50, TimeUnit.MILLISECONDS));
      assertThat(givenBack.leadingKept(0, 1)).isEqualTo(1);
    } finally {
      givenBack.placing().unlock();
    }
    noted.get(5, TimeUnit.SECONDS);

    assertThat(givenBack.contains(0)).isTrue();
  }

  private void note() {
    givenBack.notingEvents().lock();
    try {
      givenBack.add(new PageRun(0, 1));
    } finally {
      givenBack.notingEvents().unlock();
    }
  }
}
