package ward.testbed;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

class ChaosTallyTest {

  private final ChaosTally tally = new ChaosTally();

  private static ChaosResult result(
      long index, Map<String, Long> injected, long breaks, double waitMillis, String... failures) {
    return new ChaosResult(
        index, injected, breaks, 1, 5, 2, 3, waitMillis, waitMillis / 2, 100, List.of(failures));
  }

  @Test
  void whatHappenedInAllRunsIsAddedUp() {
    tally.add(result(0, Map.of("Flip", 2L, "Cut", 1L), 3, 500));
    tally.add(result(1, Map.of("Flip", 4L), 1, 700));

    ChaosTally.Summary summary = tally.summary(9, 5);

    assertEquals(Map.of("Flip", 6L, "Cut", 1L), summary.injected());
    assertEquals(4, summary.breaksSurvived());
    assertEquals(2, summary.givenBack());
    assertEquals(10, summary.lostWithDestination());
    assertEquals(4, summary.latePoisoned());
    assertEquals(6, summary.lateHeld());
    assertEquals(2, summary.passed());
    assertThat(ChaosTally.text(summary)).contains("PASSED");
  }

  @Test
  void theWorstWaitIsThatOfTheRunsWithABreak() {
    tally.add(result(0, Map.of(), 0, 9000));
    tally.add(result(1, Map.of(), 1, 700));

    ChaosTally.Summary summary = tally.summary(9, 5);

    assertEquals(700, summary.worstWaitMillis());
    assertEquals(350, summary.worstBreakMillis());
  }

  @Test
  void aFailedRunIsNamedAndSpoilsTheWhole() {
    tally.add(result(0, Map.of(), 0, 0));
    tally.add(result(41, Map.of(), 0, 0, "a page is gone"));

    ChaosTally.Summary summary = tally.summary(9, 5);

    assertEquals(List.of(41L), summary.failedRuns());
    assertEquals(1, summary.passed());
    assertThat(ChaosTally.text(summary)).contains("FAILED: runs [41]").doesNotContain("PASSED");
  }
}
