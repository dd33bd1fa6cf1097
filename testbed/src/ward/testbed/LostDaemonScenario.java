package ward.testbed;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.time.Duration;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** A loopback that has lost one of its daemons says so at once, and which. */
@Timeout(value = 90, unit = TimeUnit.SECONDS)
class LostDaemonScenario {

  /** Longer than the test may take: it must not be waited for. */
  private static final Duration DEADLINE = Duration.ofMinutes(10);

  private static final long MEMORY_BYTES = 16 << 20;
  private static final int KILLED = 137;

  /**
   * @param step the progress line after which the daemon is killed
   */
  @ParameterizedTest
  @CsvSource({
    "destination, reporting",
    "destination, the guest walks",
    "source, reporting",
    "source, starting the destination"
  })
  void theOneThatIsGoneIsNamedWithItsCodeAndItsLastLines(String daemon, String step)
      throws IOException {
    LoopbackRun[] run = new LoopbackRun[1];
    LoopbackSettings settings = new LoopbackSettings(MEMORY_BYTES, 2, 3, 2, 2, 5, "auto", DEADLINE);
    try (LoopbackRun made = new LoopbackRun(settings, line -> killAt(line, step, daemon, run[0]))) {
      run[0] = made;

      assertThatThrownBy(made::run)
          .isInstanceOf(IOException.class)
          .hasMessageContaining("ward %s ended early, with exit code %d", daemon, KILLED)
          .hasMessageContaining("INFO  ward." + daemon)
          .hasMessageNotContaining("waited too long");
    }
  }

  private static void killAt(String line, String step, String daemon, LoopbackRun run) {
    if (line.startsWith(step)) {
      assertThat(run).as("made before it reports any progress of a migration").isNotNull();
      if (daemon.equals("source")) {
        run.killSource();
      } else {
        run.killDestination();
      }
    }
  }
}
