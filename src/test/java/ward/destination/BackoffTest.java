package ward.destination;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;

class BackoffTest {

  private final Backoff backoff = new Backoff(new SplittableRandom(1));

  private void assertNextAbout(long millis) {
    assertThat(backoff.nextMillis()).isBetween(millis * 8 / 10, millis * 12 / 10);
  }

  @Test
  void eachWaitIsAboutTwiceTheOneBeforeUpToTwoSeconds() {
    for (long millis : new long[] {100, 200, 400, 800, 1_600, 2_000, 2_000}) {
      assertNextAbout(millis);
    }
  }

  @Test
  void startsAnewAfterASuccess() {
    backoff.nextMillis();
    backoff.nextMillis();

    backoff.reset();

    assertNextAbout(Backoff.FIRST_MILLIS);
  }

  @Test
  void twoGuestsDoNotComeBackAtTheSameMoment() {
    Backoff other = new Backoff(new SplittableRandom(2));

    assertThat(backoff.nextMillis()).isNotEqualTo(other.nextMillis());
  }
}
