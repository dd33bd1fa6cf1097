package ward.source;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatCode;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import ward.memory.PageSet;
import ward.poison.LedgerDigest;
import ward.wire.ControlMessage.LatePoison;
import ward.wire.ControlMessage.PoisonMapApplied;
import ward.wire.ControlMessage.RecoveryEnd;
import ward.wire.ControlMessage.RecoveryPart;
import ward.wire.ProtocolException;

class ReturnedDestinationTest {

  private static final PageSet NONE = new PageSet();

  @TempDir Path directory;

  private Bench bench;
  private ReturnedDestination returned;

  @BeforeEach
  void open() throws IOException {
    bench = new Bench(directory);
    returned = new ReturnedDestination(bench.parts, new StreamCursor(SmallGuest.LAYOUT, false));
  }

  @AfterEach
  void close() throws Exception {
    bench.close();
  }

  @Test
  void partsAddUp() {
    returned.add(new RecoveryPart(SmallGuest.frames(1, 2), SmallGuest.frames(3)));
    returned.add(new RecoveryPart(SmallGuest.frames(120), SmallGuest.frames(121)));

    assertThat(returned.poisoned()).isEqualTo(SmallGuest.frames(3, 121));
    assertThatCode(() -> returned.end(new RecoveryEnd(3, 2, true, true)))
        .doesNotThrowAnyException();
  }

  @Test
  void pagesThatTheGuestDoesNotHaveAreRefusedByNumber() {
    PageSet outside = SmallGuest.frames(1);
    outside.add(0x300);

    assertThatThrownBy(() -> returned.add(new RecoveryPart(outside, NONE)))
        .isInstanceOf(ProtocolException.class)
        .hasMessageContaining("not RAM of guest small")
        .hasMessageContaining("1 pages {768}");
  }

  @Test
  void aPageCannotBePresentAndPoisoned() {
    returned.add(new RecoveryPart(SmallGuest.frames(1), NONE));
    returned.add(new RecoveryPart(NONE, SmallGuest.frames(1)));

    assertThatThrownBy(() -> returned.end(new RecoveryEnd(1, 1, true, true)))
        .isInstanceOf(ProtocolException.class)
        .hasMessageContaining("1 of them as both");
  }

  @Test
  void aPartThatIsMissingIsNoticed() {
    returned.add(new RecoveryPart(SmallGuest.frames(1), NONE));

    assertThatThrownBy(() -> returned.end(new RecoveryEnd(2, 0, true, true)))
        .isInstanceOf(ProtocolException.class)
        .hasMessageContaining("announced 2 present and 0 poisoned pages and named 1 and 0");
  }

  @Test
  void whatIsThereCountsAsSentAndEverythingElseDoesNot() {
    bench.served.claim(1);
    bench.served.claim(5);
    bench.served.lose(7);
    returned.add(new RecoveryPart(SmallGuest.frames(1, 2), NONE));

    returned.startOver();

    assertThat(bench.served.isUnsent(1)).isFalse();
    assertThat(bench.served.isUnsent(2)).isFalse();
    assertThat(bench.served.isUnsent(5)).isTrue();
    assertThat(bench.served.isLost(7)).isTrue();
  }

  @Test
  void lossesThatItDoesNotNameAreSaidOnceEachHoweverLarge() throws IOException {
    bench.lost.record(List.of(SmallGuest.entry(3), SmallGuest.extent(32, 14)));
    returned.add(new RecoveryPart(NONE, SmallGuest.frames(3)));

    List<LatePoison> losses = returned.losses();

    assertThat(losses).containsExactly(new LatePoison(List.of(SmallGuest.extent(32, 14))));
  }

  @Test
  void bothSidesMustHoldTheSamePagesForLostAfterwards() throws IOException {
    bench.lost.record(List.of(SmallGuest.entry(3)));
    returned.add(new RecoveryPart(NONE, SmallGuest.frames(3)));
    returned.losses();

    assertThat(returned.objection(applied(3))).isEmpty();
    assertThat(returned.objection(applied(3, 4)))
        .hasValueSatisfying(
            text -> assertThat(text).contains("holds 2 pages for lost, this side 1"));
  }

  private static PoisonMapApplied applied(long... pages) {
    return new PoisonMapApplied(pages.length, LedgerDigest.ofFrames(SmallGuest.frames(pages)));
  }
}
