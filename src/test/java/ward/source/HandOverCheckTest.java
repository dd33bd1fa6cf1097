package ward.source;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Optional;
import org.junit.jupiter.api.Test;
import ward.memory.PageSet;
import ward.poison.LedgerDigest;
import ward.wire.ControlMessage.HandOver;

class HandOverCheckTest {

  private static final PageSet LOST = SmallGuest.frames(3, 101);
  private static final LedgerDigest DIGEST = LedgerDigest.ofFrames(LOST);

  private static Optional<String> objection(HandOver handOver) {
    return HandOverCheck.objection(SmallGuest.LAYOUT, LOST, handOver);
  }

  @Test
  void theSourceLetsGoIfEverythingAgrees() {
    assertThat(objection(new HandOver(118, 10, 2, 2, DIGEST))).isEmpty();
  }

  @Test
  void aPageThatIsNotAccountedForIsAnObjection() {
    assertThat(objection(new HandOver(117, 10, 2, 2, DIGEST)))
        .hasValueSatisfying(text -> assertThat(text).contains("129", "130"));
  }

  @Test
  void aPageTooManyIsAnObjection() {
    assertThat(objection(new HandOver(119, 10, 2, 2, DIGEST))).isPresent();
  }

  @Test
  void aLostPageThatHealedIsAnObjection() {
    assertThat(objection(new HandOver(119, 10, 1, 1, DIGEST)))
        .hasValueSatisfying(text -> assertThat(text).contains("1 poisoned", "ledger here 2"));
  }

  @Test
  void aPoisonedPageWithoutItsMarkerIsAnObjection() {
    assertThat(objection(new HandOver(118, 10, 2, 1, DIGEST)))
        .hasValueSatisfying(text -> assertThat(text).contains("1 markers"));
  }

  @Test
  void otherPagesLostThanHereIsAnObjection() {
    LedgerDigest other = LedgerDigest.ofFrames(SmallGuest.frames(3, 102));

    assertThat(objection(new HandOver(118, 10, 2, 2, other)))
        .hasValueSatisfying(text -> assertThat(text).contains(other.toString()));
  }
}
