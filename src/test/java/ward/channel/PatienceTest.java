package ward.channel;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** When it is worth while to look, by a clock that only the others move. */
class PatienceTest {

  private static final long OTHERS_NANOS = 5_000;
  private static final long SLICE_NANOS = 3_000_000;
  private static final long MILLI = 1_000_000;

  private long now = 1;
  private long othersNanos = OTHERS_NANOS;
  private int looks;
  private final Patience patience = new Patience(() -> now, () -> now += othersNanos);

  @BeforeEach
  void begin() {
    now += 6 * MILLI;
  }

  private boolean findsAtLook(int number) {
    looks = 0;
    return patience.pays(() -> ++looks == number);
  }

  private boolean findsNothing() {
    return findsAtLook(Integer.MAX_VALUE);
  }

  private void waitInVain(int times) {
    for (int i = 0; i < times; i++) {
      findsNothing();
    }
  }

  @Test
  void nobodyLooksInTheBeginning() {
    now -= 2 * MILLI;

    assertThat(findsAtLook(1)).isFalse();
  }

  @Test
  void whatComesSoonIsFound() {
    boolean found = findsAtLook(3);

    assertThat(found).isTrue();
    assertThat(looks).isEqualTo(3);
  }

  @Test
  void theOthersGoBeforeTheFirstLook() {
    long before = now;

    boolean found = patience.pays(() -> now == before + OTHERS_NANOS);

    assertThat(found).isTrue();
  }

  @Test
  void whatTakesLongerIsWaitedFor() {
    boolean found = findsNothing();

    assertThat(found).isFalse();
    assertThat(looks).isEqualTo(10);
  }

  @Test
  void whereNothingEverComesSoonNobodyLooksButNowAndThen() {
    waitInVain(4);

    findsNothing();
    int afterwards = looks;
    int until = 1;
    while (!findsAtLook(1)) {
      until++;
    }

    assertThat(afterwards).isZero();
    assertThat(until).isBetween(60, 64);
  }

  /** A rival keeps the processor for its whole slice, each time that it is let go first. */
  @Test
  void whoHasARivalSleepsForAWhile() {
    othersNanos = SLICE_NANOS;
    findsNothing();
    int met = looks;
    othersNanos = OTHERS_NANOS;

    findsAtLook(1);
    int asleep = looks;
    now += 6 * MILLI;
    boolean awake = findsAtLook(1);

    assertThat(met).isEqualTo(1);
    assertThat(asleep).isZero();
    assertThat(awake).isTrue();
  }

  @Test
  void whatCameWhileARivalRanIsFoundAllTheSame() {
    othersNanos = SLICE_NANOS;

    assertThat(findsAtLook(1)).isTrue();
  }

  @Test
  void whoMeetsARivalAgainAndAgainSleepsTwiceAsLongEachTimeAndAsBeforeWithoutOne() {
    othersNanos = SLICE_NANOS;
    findsNothing();
    now += 6 * MILLI;
    findsNothing();
    now += 6 * MILLI;
    boolean tooEarly = findsAtLook(1);
    now += 6 * MILLI;
    othersNanos = OTHERS_NANOS;
    boolean alone = findsAtLook(1);
    othersNanos = SLICE_NANOS;
    findsNothing();
    now += 6 * MILLI;

    assertThat(tooEarly).isFalse();
    assertThat(alone).isTrue();
    assertThat(findsAtLook(1)).isTrue();
  }
}
