package ward.testbed;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.IOException;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/**
 * The guest's memory and its threads belong to a process of their own, and outlive the daemons that
 * fill it.
 */
@Timeout(value = 300, unit = TimeUnit.SECONDS)
class LostDestinationScenario {

  private static final long MEMORY_BYTES = 32 << 20;
  private static final Duration TIME = Duration.ofMinutes(4);

  private static LoopbackSettings withEveryLoss() {
    return new LoopbackSettings(MEMORY_BYTES, 2, 9, 5, 4, 25, "thread", TIME);
  }

  @Test
  void aGuestArrivesInTheMemoryOfAnotherProcess() throws IOException {
    try (OwnedRun run = new OwnedRun(withEveryLoss())) {
      run.begin();
      run.startDaemon();
      run.awaitAnswers(50);
      run.source.reportLatePoison();
      run.source.stream();

      LoopbackResult result = run.verdict();

      assertEquals(List.of(), result.failures(), run::logs);
      assertEquals(result.digestSource(), result.digestDestination());
      assertThat(run.holder().said()).anyMatch(line -> line.startsWith("farewell true"));
    }
  }

  @Test
  void aDaemonThatIsKilledInTheMiddleIsFollowedByOneThatGoesOn() throws IOException {
    try (OwnedRun run = new OwnedRun(withEveryLoss())) {
      run.begin();
      Daemon first = run.startDaemon();
      run.awaitAnswers(50);
      run.source.reportLatePoison();

      first.kill();
      long waiting = run.holder().touchCount();
      run.startDaemon();
      run.awaitPhase("RUNNING");
      run.source.stream();
      LoopbackResult result = run.verdict();

      assertEquals(List.of(), result.failures(), run::logs);
      assertThat(waiting).isLessThan(run.holder().touchCount());
      assertThat(run.logs()).contains("took over session", "AWAITING_RETURN -> SERVING");
    }
  }
}
