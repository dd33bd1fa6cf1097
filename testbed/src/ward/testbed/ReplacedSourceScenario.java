package ward.testbed;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.IOException;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import ward.poison.MigrationFile;
import ward.poison.MigrationRecord.Stage;

/**
 * A source that dies while the guest's pages are on two hosts, and another process in its place.
 */
@Timeout(value = 3, unit = TimeUnit.MINUTES)
class ReplacedSourceScenario {

  private static final long MEMORY_BYTES = 16 << 20;
  private static final Duration TIME = Duration.ofMinutes(2);
  private static final LinkDirection DOWN = LinkDirection.TO_DESTINATION;

  /** Long enough that the stream cannot end while its source is killed. */
  private static final Duration SLOWLY = Duration.ofMillis(100);

  private static LoopbackSettings withEveryLoss(String vcpu) {
    return new LoopbackSettings(MEMORY_BYTES, 2, 9, 7, 5, 31, vcpu, TIME);
  }

  private static final MigrationSource.Interregnum NOTHING = port -> {};

  /** A migration over a link that can be made bad, in which nothing may be missing in the end. */
  private static final class Journey implements AutoCloseable {

    private final LoopbackRun run;
    private FaultyLink link;

    Journey(LoopbackSettings settings) throws IOException {
      run =
          new LoopbackRun(settings, line -> {}, () -> Network.plain("a link that can be made bad"));
      run.takeDetour(
          source -> {
            link = new FaultyLink(source);
            return link.address();
          });
    }

    private void replace(MigrationSource source, MigrationSource.Interregnum meanwhile)
        throws IOException {
      source.replace(meanwhile, run.deadline());
    }

    private Stage stage(MigrationSource source) throws IOException {
      return MigrationFile.peek(source.ledger()).orElseThrow().stage();
    }

    private LoopbackResult complete() throws IOException {
      LoopbackResult result = run.run();
      assertEquals(List.of(), result.failures(), run::logs);
      assertEquals(result.digestSource(), result.digestDestination());
      assertThat(run.logs()).contains("LISTENING -> AWAITING_RETURN").contains("RECOVERING -> ");
      return result;
    }

    @Override
    public void close() throws IOException {
      run.close();
      if (link != null) {
        link.close();
      }
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"auto", "thread"})
  void aSourceThatIsKilledBeforeItStreamsIsReplacedAndNothingIsMissing(String vcpu)
      throws IOException {
    try (Journey journey = new Journey(withEveryLoss(vcpu))) {
      journey.run.beforeTheStream(source -> journey.replace(source, NOTHING));

      journey.complete();
    }
  }

  @Test
  void aSourceThatIsKilledTwiceInTheMiddleOfTheStreamIsReplacedTwice() throws IOException {
    try (Journey journey = new Journey(withEveryLoss("auto"))) {
      journey.run.beforeTheStream(source -> journey.link.delay(SLOWLY));
      journey.run.inTheStream(
          source -> {
            journey.run.deadline().await("some of the stream", () -> streamed(source) > 0);
            journey.replace(source, NOTHING);
            source.stream();
            journey.run.deadline().await("more of the stream", () -> streamed(source) > 0);
            journey.replace(source, NOTHING);
            journey.link.heal();
            source.stream();
          });

      journey.complete();

      assertThat(journey.run.lastStatus().get("breaks").get("count").asInt()).isEqualTo(2);
    }
  }

  private static long streamed(MigrationSource source) throws IOException {
    return source.status().get("streamedData").asLong();
  }
}
