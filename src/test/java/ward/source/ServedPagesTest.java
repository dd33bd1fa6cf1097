package ward.source;

import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;

class ServedPagesTest {

  private final ServedPages served = new ServedPages(2);

  @Test
  void aPageIsClaimedOnce() {
    assertTrue(served.isUnsent(0));

    assertTrue(served.claim(0));

    assertFalse(served.claim(0));
    assertFalse(served.isUnsent(0));
    assertTrue(served.isUnsent(1));
  }

  @Test
  void aClaimThatIsGivenBackCanBeTakenAgain() {
    served.claim(0);

    served.unclaim(0);

    assertTrue(served.claim(0));
  }

  @Test
  void aLostPageIsNeverClaimedAgain() {
    served.claim(1);

    assertTrue(served.lose(0));
    assertTrue(served.lose(1));

    served.unclaim(1);
    assertFalse(served.claim(0));
    assertFalse(served.claim(1));
    assertTrue(served.isLost(1));
  }

  @Test
  void aLossIsNewsOnce() {
    assertTrue(served.lose(0));

    assertFalse(served.lose(0));
  }
}
