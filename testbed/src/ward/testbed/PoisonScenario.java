package ward.testbed;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.IOException;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Poison arrives, however it was learnt, and no other page does any harm: two real processes. */
@Timeout(value = 3, unit = TimeUnit.MINUTES)
class PoisonScenario {

  private static final long MEMORY_BYTES = 16 << 20;
  private static final int VCPUS = 2;
  private static final long SEED = 11;

  @ParameterizedTest(name = "{0} declared, {1} found, {2} late, vCPU {3}")
  @CsvSource({
    "0,0,0,auto",
    "20,0,0,auto",
    "0,20,0,auto",
    "0,0,8,auto",
    "9,7,5,auto",
    "9,7,5,thread"
  })
  void everyLossIsMetAndNothingElse(int declared, int found, int late, String vcpu)
      throws IOException {
    everyLossIsMet(declared, found, late, vcpu, "auto");
  }

  @ParameterizedTest
  @CsvSource({"auto", "thread"})
  void theSameWithMarkersForOlderKernels(String vcpu) throws IOException {
    everyLossIsMet(9, 7, 5, vcpu, "sigbus");
  }

  private static void everyLossIsMet(int declared, int found, int late, String vcpu, String marker)
      throws IOException {
    LoopbackSettings settings =
        new LoopbackSettings(
            MEMORY_BYTES, VCPUS, declared, found, late, SEED, vcpu, marker, Duration.ofMinutes(2));

    try (LoopbackRun run = new LoopbackRun(settings, line -> {})) {
      LoopbackResult result = run.run();

      assertEquals(List.of(), result.failures(), run::logs);
      assertEquals(declared + found + late, result.pagesPoisoned());
      assertEquals(MEMORY_BYTES >> 12, result.pagesTotal());
    }
  }
}
