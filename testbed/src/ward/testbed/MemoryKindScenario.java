package ward.testbed;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.IOException;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import ward.testing.HugePages;

/** Guests that arrive in other memory than anonymous: two real processes. */
@Timeout(value = 3, unit = TimeUnit.MINUTES)
class MemoryKindScenario {

  private static final long MEMORY_BYTES = 16 << 20;
  private static final long HUGE_BYTES = 32 << 20;
  private static final int HUGE_PAGES = 16;
  private static final Duration TIME = Duration.ofMinutes(2);

  private static LoopbackSettings settings(String vcpu, String marker) {
    return new LoopbackSettings(MEMORY_BYTES, 2, 9, 7, 5, 41, vcpu, marker, TIME);
  }

  @ParameterizedTest
  @CsvSource({"anonymous", "memfd"})
  void everyLossIsMetWhereHugePagesAreMadeAfterwards(String memory) throws IOException {
    everyLossIsMetAndNothingElse(settings("auto", "auto").with("--memory", memory, "--collapse"));
  }

  private static void everyLossIsMetAndNothingElse(LoopbackSettings settings) throws IOException {
    try (LoopbackRun run = new LoopbackRun(settings, line -> {})) {
      LoopbackResult result = run.run();

      assertEquals(List.of(), result.failures(), run::logs);
      assertEquals(9 + 7 + 5, result.pagesPoisoned());
      assertEquals(MEMORY_BYTES >> 12, result.pagesTotal());
    }
  }

  @ParameterizedTest
  @CsvSource({"auto,auto", "thread,uffd", "auto,sigbus"})
  void everyLossIsMetAndNothingElseInAMemfd(String vcpu, String marker) throws IOException {
    everyLossIsMetAndNothingElse(settings(vcpu, marker).with("--memory", "memfd"));
  }

  private static LoopbackSettings inHugePages(
      int declared, int found, int late, String vcpu, String hugeLoss) {
    return new LoopbackSettings(HUGE_BYTES, 2, declared, found, late, 42, vcpu, TIME)
        .with("--memory", "hugetlb", "--huge-loss", hugeLoss);
  }

  @ParameterizedTest
  @ValueSource(strings = {"auto", "thread"})
  void aGuestArrivesInHugePages(String vcpu) throws IOException {
    try (HugePages reserved = HugePages.reserve(HUGE_PAGES);
        LoopbackRun run = new LoopbackRun(inHugePages(0, 0, 0, vcpu, "refuse"), line -> {})) {
      LoopbackResult result = run.run();

      assertEquals(List.of(), result.failures(), run::logs);
      assertEquals(HUGE_BYTES >> 12, result.pagesTotal());
    }
  }

  @ParameterizedTest
  @CsvSource({"2,0,0", "0,2,0", "0,0,2", "2,1,1"})
  void whatIsLostTakesItsHugePageAlongOnBothHosts(int declared, int found, int late)
      throws IOException {
    LoopbackSettings settings = inHugePages(declared, found, late, "thread", "widen");
    try (HugePages reserved = HugePages.reserve(HUGE_PAGES);
        LoopbackRun run = new LoopbackRun(settings, line -> {})) {
      LoopbackResult result = run.run();

      assertEquals(List.of(), result.failures(), run::logs);
      assertThat(result.pagesPoisoned() % 512).isZero();
      assertThat(result.pagesPoisoned()).isPositive();
      assertThat(run.logs()).contains("event=widened");
    }
  }

  @Test
  void aGuestThatHasLostLessThanAHugePageIsRefusedUnlessToldOtherwise() throws IOException {
    LoopbackSettings settings = inHugePages(2, 0, 0, "thread", "refuse");
    try (HugePages reserved = HugePages.reserve(HUGE_PAGES);
        LoopbackRun run = new LoopbackRun(settings, line -> {})) {
      assertThatThrownBy(run::run)
          .isInstanceOf(IOException.class)
          .hasMessageContaining("2 pages of 4 KiB are lost in huge pages")
          .hasMessageContaining("--huge-loss widen");
    }
  }

  @Test
  void aHostWithoutHugePagesSaysHowManyAreNeeded() throws IOException {
    LoopbackSettings settings =
        new LoopbackSettings(1L << 30, 1, 0, 0, 0, 42, "thread", TIME).with("--memory", "hugetlb");
    try (LoopbackRun run = new LoopbackRun(settings, line -> {})) {
      assertThatThrownBy(run::run)
          .isInstanceOf(IOException.class)
          .hasMessageContaining("384 huge pages of 2 MiB")
          .hasMessageContaining("vm.nr_hugepages");
    }
  }
}
