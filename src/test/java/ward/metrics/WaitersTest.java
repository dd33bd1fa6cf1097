package ward.metrics;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import ward.metrics.DestinationMetrics.WaitsOverBreak;

class WaitersTest {

  private final List<WaitsOverBreak> told = new ArrayList<>();
  private long millis;
  private final Waiters waiters = new Waiters(() -> millis * 1_000_000, told::add);

  @Test
  void whoWaitsIsCountedUntilItsPageComes() {
    waiters.waits(101, 7);
    millis = 5;
    waiters.waits(102, 9);
    millis = 8;

    assertThat(waiters.now()).isEqualTo(new Waiters.Now(2, 8));

    waiters.woken(6, 2);

    assertThat(waiters.now()).isEqualTo(new Waiters.Now(1, 3));
  }

  @Test
  void twoThreadsThatWaitForOnePageAreTwo() {
    waiters.waits(101, 7);
    waiters.waits(102, 7);

    assertThat(waiters.now().count()).isEqualTo(2);

    waiters.woken(7, 1);

    assertThat(waiters.now().count()).isZero();
  }

  @Test
  void aThreadThatTouchesItsPageAgainHasWaitedSinceTheFirstTime() {
    waiters.waits(101, 7);
    millis = 5;
    waiters.waits(101, 7);

    assertThat(waiters.now()).isEqualTo(new Waiters.Now(1, 5));
  }

  @Test
  void aThreadThatWaitsForAnotherPageHasGotTheOneBefore() {
    waiters.waits(101, 7);
    millis = 5;
    waiters.waits(101, 8);
    waiters.woken(7, 1);

    assertThat(waiters.now()).isEqualTo(new Waiters.Now(1, 0));
  }

  @Test
  void moreThreadsThanEverBeforeAreNoLoss() {
    for (int thread = 0; thread < 1_000; thread++) {
      waiters.waits(thread, thread);
    }
    waiters.woken(0, 999);

    assertThat(waiters.now().count()).isEqualTo(1);
  }

  @Test
  void aWaitThatBeganBeforeTheBreakCountsFromItsBeginningToItsEnd() {
    waiters.waits(101, 7);
    millis = 10;
    waiters.broken();
    millis = 20;
    waiters.waits(102, 8);
    millis = 30;
    waiters.mended();
    waiters.woken(8, 1);

    assertThat(told).isEmpty();

    millis = 35;
    waiters.woken(7, 1);

    assertThat(told).containsExactly(new WaitsOverBreak(2, 35));
    assertThat(waiters.overBreaks()).isEqualTo(new WaitsOverBreak(2, 35));
  }

  @Test
  void waitsBeforeAndAfterTheBreakAreNotOverIt() {
    waiters.waits(101, 7);
    millis = 10;
    waiters.woken(7, 1);
    waiters.broken();
    millis = 20;
    waiters.mended();
    waiters.waits(101, 8);
    millis = 90;
    waiters.woken(8, 1);

    assertThat(told).containsExactly(new WaitsOverBreak(0, 0));
    assertThat(waiters.overBreaks()).isEqualTo(new WaitsOverBreak(0, 0));
  }

  @Test
  void whatIsResolvedWhileTheBreakLastsWasAWaitOverIt() {
    waiters.broken();
    waiters.waits(101, 7);
    millis = 12;
    waiters.woken(7, 1);

    assertThat(waiters.overBreaks()).isEqualTo(new WaitsOverBreak(1, 12));

    waiters.mended();

    assertThat(told).containsExactly(new WaitsOverBreak(1, 12));
  }

  @Test
  void aWaitOverTwoBreaksIsToldOnceWithAllOfItsTime() {
    waiters.waits(101, 7);
    waiters.broken();
    millis = 10;
    waiters.mended();
    waiters.broken();
    millis = 30;
    waiters.mended();
    waiters.woken(7, 1);

    assertThat(told).containsExactly(new WaitsOverBreak(1, 30));
  }

  @Test
  void theLongestOfAllBreaksIsKept() {
    for (int wait : new int[] {40, 15}) {
      waiters.broken();
      waiters.waits(101, 7);
      millis += wait;
      waiters.mended();
      waiters.woken(7, 1);
    }

    assertThat(told).containsExactly(new WaitsOverBreak(1, 40), new WaitsOverBreak(1, 15));
    assertThat(waiters.overBreaks()).isEqualTo(new WaitsOverBreak(2, 40));
  }
}
