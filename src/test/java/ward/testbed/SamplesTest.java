package ward.testbed;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import ward.vcpu.TouchPlan.Touch;

class SamplesTest {

  private static Touch touch(long began, long waited) {
    return new Touch(0, began, waited, 0, false);
  }

  /** Waits of 1 to count microseconds, one after the other. */
  private static Touch[] rising(int count) {
    return IntStream.rangeClosed(1, count)
        .mapToObj(i -> touch(1_000_000L * i, 1_000L * i))
        .toArray(Touch[]::new);
  }

  @ParameterizedTest
  @CsvSource({"0, 1", "0.01, 1", "0.5, 50", "0.501, 51", "0.9, 90", "0.99, 99", "1, 100"})
  void aPercentileIsTheSmallestSampleThatSoManyDoNotExceed(double part, double micros) {
    assertThat(Samples.first(rising(100), 100).micros(part)).isEqualTo(micros);
  }

  @Test
  void ofNoSampleThereIsNoPercentile() {
    assertThat(Samples.first(new Touch[0], 10).micros(0.5)).isNaN();
    assertThat(Samples.first(new Touch[0], 10).perSecond()).isZero();
  }

  @Test
  void steadyIsTheSecondHalfOfEveryThreadsPart() {
    Samples steady = Samples.steady(rising(8), 2);

    assertThat(steady.sortedNanos()).containsExactly(3_000, 4_000, 7_000, 8_000);
  }

  @Test
  void theFirstFaultsAreThoseThatBeganFirstWhicheverThreadMadeThem() {
    Touch[] touches = {touch(10, 5_000), touch(40, 6_000), touch(5, 7_000), touch(50, 8_000)};

    assertThat(Samples.first(touches, 2).sortedNanos()).containsExactly(5_000, 7_000);
  }

  @Test
  void aPageThatWasThereAndOneThatIsLostAreNoFaults() {
    Touch[] touches = {touch(1, 60), new Touch(0, 2, 5_000, 0, true), touch(3, 2_000)};

    assertThat(Samples.first(touches, 3).sortedNanos()).containsExactly(2_000);
  }

  @Test
  void theRateIsFromTheFirstBeginningToTheLastEnd() {
    Touch[] touches = {touch(0, 2_000), touch(1_000, 3_000)};

    assertThat(Samples.first(touches, 2).perSecond()).isEqualTo(2 / 4e-6);
  }
}
