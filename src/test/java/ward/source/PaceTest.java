package ward.source;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

class PaceTest {

  private static final long MIB = 1 << 20;

  private long nowNanos = -17; // a clock may be anywhere

  private final Pace pace = new Pace(() -> nowNanos, 10 * MIB);

  private void passMillis(long millis) {
    nowNanos += millis * 1_000_000;
  }

  @Test
  void whatIsSentIsWaitedForBehindIt() {
    assertThat(pace.waitMillis()).isZero();

    pace.spend(MIB);

    assertThat(pace.waitMillis()).isEqualTo(100);
    passMillis(99);
    assertThat(pace.waitMillis()).isEqualTo(1);
    passMillis(1);
    assertThat(pace.waitMillis()).isZero();
  }

  @Test
  void overALongTimeNoMoreIsSentThanTheLimit() {
    long sent = 0;
    for (int millis = 0; millis < 10_000; millis++) {
      while (pace.waitMillis() == 0) {
        pace.spend(300_000);
        sent += 300_000;
      }
      passMillis(1);
    }

    assertThat(sent).isBetween(99 * MIB, 101 * MIB);
  }

  @Test
  void whoCouldNotSendForLongSavesUpLittle() {
    passMillis(3_600_000);

    pace.waitMillis();
    pace.spend(MIB);

    assertThat(pace.waitMillis()).isEqualTo(50);
  }

  @Test
  void aSliceIsAsLongAsATenthOfASecondAndNeverLongerThanAHugePage() {
    assertThat(pace.slicePages()).isEqualTo(256);

    pace.limit(1);
    assertThat(pace.slicePages()).isEqualTo(1);

    pace.limit(1L << 40);
    assertThat(pace.slicePages()).isEqualTo(512);
  }

  @Test
  void withoutALimitNothingWaits() {
    pace.spend(100 * MIB);

    pace.limit(0);
    pace.spend(1L << 50);

    assertThat(pace.waitMillis()).isZero();
    assertThat(pace.slicePages()).isEqualTo(512);
  }

  @Test
  void aNewLimitForgivesWhatWasOwed() {
    pace.spend(1000 * MIB);

    pace.limit(MIB);

    assertThat(pace.waitMillis()).isZero();
    assertThat(pace.bytesPerSecond()).isEqualTo(MIB);
  }
}
