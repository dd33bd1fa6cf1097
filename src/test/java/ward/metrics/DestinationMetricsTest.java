package ward.metrics;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import org.junit.jupiter.api.Test;
import ward.memory.PageSet;

class DestinationMetricsTest {

  private final DestinationMetrics metrics = new DestinationMetrics();

  @Test
  void percentilesAreInMicroseconds() {
    for (int i = 1; i <= 100; i++) {
      metrics.faultResolved(i * 1_000_000L);
    }

    DestinationMetrics.Faults faults = metrics.faults();

    assertThat(faults.count()).isEqualTo(100);
    assertThat(faults.p50Micros()).isCloseTo(50_000, within(100.0));
    assertThat(faults.p99Micros()).isCloseTo(99_000, within(100.0));
    assertThat(faults.maxMicros()).isCloseTo(100_000, within(100.0));
  }

  @Test
  void aFaultOfADayDoesNotOverflowTheHistogram() {
    metrics.faultResolved(86_400_000_000_000L);

    assertThat(metrics.faults().count()).isEqualTo(1);
  }

  @Test
  void lateLossesAndHeldPagesAreCountedApart() {
    PageSet poisoned = new PageSet();
    poisoned.add(1);
    poisoned.add(2);
    PageSet held = new PageSet();
    held.add(9);

    metrics.latePoison(poisoned, held);

    assertThat(metrics.latePoisonedPages()).isEqualTo(2);
    assertThat(metrics.heldPages()).isEqualTo(1);
  }

  @Test
  void damagedAnswersAndThePagesAskedForAgainAreCountedApart() {
    metrics.damaged(0x1000, 64, "both sums");
    metrics.damaged(0x2000, 0, "both sums");

    assertThat(metrics.damagedAnswers()).isEqualTo(2);
    assertThat(metrics.pagesAskedAgain()).isEqualTo(64);
  }

  @Test
  void withoutAStreamThereIsNoSpeed() {
    assertThat(metrics.streamMebibytesPerSecond()).isZero();
  }
}
