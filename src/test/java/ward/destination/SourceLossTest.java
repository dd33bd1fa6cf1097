package ward.destination;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.time.Duration;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import ward.destination.SourceLoss.Policy;

class SourceLossTest {

  private static final Duration AFTER = Duration.ofSeconds(10);

  @ParameterizedTest(name = "{0}, needed {1}, after {2} s: {3}")
  @CsvSource({
    "WAIT, true, 9, false",
    "WAIT, true, 1000000, false",
    "WAIT, false, 9, false",
    "WAIT, false, 10, true",
    "PAUSE, true, 9, false",
    "PAUSE, true, 10, true",
    "POISON, true, 9, false",
    "POISON, true, 10, true"
  })
  void aSourceIsLostAfterItsTimeUnlessAGuestWaitsForIt(
      Policy policy, boolean needed, long seconds, boolean lost) {
    SourceLoss loss = new SourceLoss(policy, AFTER);

    assertThat(loss.isReached(Duration.ofSeconds(seconds).toNanos(), needed)).isEqualTo(lost);
  }

  @Test
  void onlyAPauseWithoutPatienceEndsTheMigrationAtTheFirstBreak() {
    assertThat(SourceLoss.PAUSE_AT_ONCE.isAtOnce()).isTrue();
    assertThat(new SourceLoss(Policy.PAUSE, AFTER).isAtOnce()).isFalse();
    assertThat(new SourceLoss(Policy.POISON, Duration.ZERO).isAtOnce()).isFalse();
  }

  @Test
  void timesRunForwards() {
    assertThatThrownBy(() -> new SourceLoss(Policy.WAIT, Duration.ofSeconds(-1)))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("0 or more");
  }
}
