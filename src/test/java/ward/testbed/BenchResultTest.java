package ward.testbed;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

class BenchResultTest {

  private static final int P50 = 0;

  @Test
  void theMedianIsTheMiddleRoundsOrTheMeanOfTwo() {
    assertThat(BenchFigure.median(3, 1, 2)).isEqualTo(2);
    assertThat(BenchFigure.median(4, 1, 2, 3)).isEqualTo(2.5);
    assertThat(BenchFigure.median()).isNaN();
  }

  @Test
  void wardIsComparedWithTheBetterYardstick() {
    BenchResult result = BenchFixture.demand();

    assertThat(result.median("ward", P50)).isEqualTo(12);
    assertThat(result.yardstick(P50)).isEqualTo(8);
    assertThat(result.ratio(P50)).isEqualTo(1.5);
  }

  @Test
  void whereMoreIsBetterTheBetterYardstickHasMoreAndTheLoopbacksLimitIsNone() {
    assertThat(BenchFixture.stream().ratio(0)).isEqualTo(2);
  }

  @Test
  void withoutWardThereIsNoRatio() {
    BenchResult result = new BenchResult(BenchCase.demand(1, true, 4096));
    result.add("sleeping", BenchFixture.round(10));

    assertThat(result.ratio(P50)).isNaN();
  }

  @Test
  void aCurveHasTheMedianOfAllRoundsAtEveryPoint() {
    assertThat(BenchFixture.demand().curve("ward"))
        .hasSameSizeAs(BenchCurve.PARTS)
        .containsOnly(12);
    assertThat(BenchFixture.stream().curve("ward")).isEmpty();
  }

  @Test
  void theTableShowsEverySideAndTheRatio() {
    assertThat(BenchTable.of(BenchFixture.demand()).lines())
        .anyMatch(line -> line.contains("sleeping") && line.contains("10.0"))
        .anyMatch(line -> line.contains("spinning") && line.contains("8.00"))
        .anyMatch(line -> line.contains("ward/yardstick") && line.contains("1.50"));
  }
}
