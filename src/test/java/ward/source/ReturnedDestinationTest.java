package ward.source;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatCode;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import org.junit.jupiter.api.Test;
import ward.memory.PageSet;
import ward.wire.ControlMessage.RecoveryEnd;
import ward.wire.ControlMessage.RecoveryPart;
import ward.wire.ProtocolException;

class ReturnedDestinationTest {

  private static final PageSet NONE = new PageSet();

  private final ReturnedDestination returned = new ReturnedDestination(SmallGuest.LAYOUT);

  @Test
  void partsAddUp() {
    returned.add(new RecoveryPart(SmallGuest.frames(1, 2), SmallGuest.frames(3)));
    returned.add(new RecoveryPart(SmallGuest.frames(120), SmallGuest.frames(121)));

    assertThat(returned.present()).isEqualTo(SmallGuest.frames(1, 2, 120));
    assertThat(returned.poisoned()).isEqualTo(SmallGuest.frames(3, 121));
    assertThatCode(() -> returned.requireWhole(new RecoveryEnd(3, 2, true, true)))
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

    assertThatThrownBy(() -> returned.requireWhole(new RecoveryEnd(1, 1, true, true)))
        .isInstanceOf(ProtocolException.class)
        .hasMessageContaining("1 of them as both");
  }

  @Test
  void aPartThatIsMissingIsNoticed() {
    returned.add(new RecoveryPart(SmallGuest.frames(1), NONE));

    assertThatThrownBy(() -> returned.requireWhole(new RecoveryEnd(2, 0, true, true)))
        .isInstanceOf(ProtocolException.class)
        .hasMessageContaining("announced 2 present and 0 poisoned pages and named 1 and 0");
  }
}
