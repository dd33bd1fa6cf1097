package ward.testbed;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import ward.testing.HugePages;
import ward.testing.RequiresUserfaultfd;

/** The benchmark from end to end, as small as it can be: that it measures, not what. */
@RequiresUserfaultfd
@Timeout(600)
class BenchScenario {

  @TempDir private Path directory;

  private JsonNode measure(String name) throws Exception {
    return new BenchOnce(directory, name).line();
  }

  @ParameterizedTest
  @ValueSource(strings = {"mix-pinned", "demand-4-in-stream-free"})
  void everySideWaitsForPagesAndEveryOneIsRight(String name) throws Exception {
    BenchOnce once = new BenchOnce(directory, name);

    JsonNode line = once.line();

    for (String side : new String[] {"sleeping", "spinning", "ward"}) {
      assertThat(line.at("/sides/" + side + "/firstThousandWorstMicros/median").asDouble())
          .as(side)
          .isGreaterThanOrEqualTo(1);
    }
    assertThat(line.get("samples")).hasSize(3);
    assertThat(directory.resolve("results.html")).isNotEmptyFile();
    assertThat(once.output()).contains("ward/yardstick");
  }

  @Test
  void theStreamIsMeasuredBesideTheLoopbacksOwnLimit() throws Exception {
    JsonNode line = measure("stream-half-zero");

    for (String side : new String[] {"sleeping", "receive", "ward"}) {
      assertThat(line.at("/sides/" + side + "/streamMebibytesPerSecond/median").asDouble())
          .as(side)
          .isPositive();
    }
  }

  @Test
  void hugePagesComeWholeOnEverySideAndAreGivenBack() throws Exception {
    BenchOnce once = new BenchOnce(directory, "demand-1-pinned-hugetlb");
    try (HugePages some = HugePages.reserve(2)) { // skipped where there are none
      long before = HugePages.reserved();

      JsonNode line = once.line();

      for (String side : new String[] {"sleeping", "spinning", "ward"}) {
        assertThat(line.at("/sides/" + side + "/p50Micros/median").asDouble())
            .as(side)
            .isGreaterThanOrEqualTo(1);
      }
      assertThat(HugePages.reserved()).isEqualTo(before);
    }
  }

  @Test
  void hugePagesAreStreamedInto() throws Exception {
    try (HugePages some = HugePages.reserve(2)) { // skipped where there are none
      JsonNode line = measure("stream-data-hugetlb");

      for (String side : new String[] {"sleeping", "ward"}) {
        assertThat(line.at("/sides/" + side + "/streamMebibytesPerSecond/median").asDouble())
            .as(side)
            .isPositive();
      }
    }
  }

  @Test
  void smallPagesBecomeHugeOnes() throws Exception {
    JsonNode line = measure("collapse");

    assertThat(line.at("/sides/ward/hugeMebibytesBefore/median").asDouble()).isZero();
    for (String side : new String[] {"sleeping", "ward"}) {
      assertThat(line.at("/sides/" + side + "/hugeMebibytesAfter/median").asDouble())
          .as(side)
          .isEqualTo(4);
      assertThat(line.at("/sides/" + side + "/collapseMillis/median").asDouble())
          .as(side)
          .isPositive();
    }
  }

  @Test
  void aPoisonMapIsMeasuredBesideTheBareIoctls() throws Exception {
    JsonNode line = measure("poison-map-10");

    assertThat(line.at("/sides/sleeping/mapMillis/median").asDouble()).isPositive();
    assertThat(line.at("/sides/ward/mapMillis/median").asDouble()).isPositive();
  }

  @Test
  void thePageTableOfALargeGuestIsMeasuredBesideThatOfASmallOne() throws Exception {
    JsonNode line = measure("page-table");

    for (String side : new String[] {"1 GiB", "12 TiB"}) {
      assertThat(line.at("/sides/" + side + "/bitsPerPage/median").asDouble())
          .as(side)
          .isPositive()
          .isLessThanOrEqualTo(2);
    }
    assertThat(line.at("/wardByYardstick/runNanosPerPage").asDouble()).isPositive();
    assertThat(line.at("/settings/guestBytes").asLong()).isEqualTo(12L << 40);
  }
}
