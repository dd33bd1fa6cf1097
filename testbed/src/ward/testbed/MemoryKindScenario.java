package ward.testbed;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.IOException;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Guests that arrive in other memory than anonymous: two real processes. */
@Timeout(value = 3, unit = TimeUnit.MINUTES)
class MemoryKindScenario {

  private static final long MEMORY_BYTES = 16 << 20;
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
}
