package ward.poison;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static ward.poison.Losses.entry;
import static ward.poison.Losses.extent;
import static ward.poison.Losses.frames;
import static ward.poison.Losses.page;

import java.security.MessageDigest;
import org.junit.jupiter.api.Test;
import ward.memory.PageRun;
import ward.memory.PageSet;

class LedgerDigestTest {

  private static PoisonLedger ledgerOf(PoisonEntry... entries) {
    PoisonLedger ledger = new PoisonLedger();
    for (PoisonEntry entry : entries) {
      ledger.record(entry);
    }
    return ledger;
  }

  @Test
  void ofNothingIsTheDigestOfNothing() {
    assertThat(new PoisonLedger().digest())
        .hasToString("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  }

  @Test
  void isSha256OverTheRuns() throws Exception {
    byte[] gapsAndCounts = {5, 2, 2, 1};
    byte[] expected = MessageDigest.getInstance("SHA-256").digest(gapsAndCounts);

    LedgerDigest digest = ledgerOf(page(0x9000), page(0x6000), page(0x5000)).digest();

    assertThat(digest.bytes()).isEqualTo(expected);
  }

  @Test
  void isTheSameHoweverManyRunsAreSummedUpAtATime() throws Exception {
    PageSet frames = new PageSet();
    RunWriter whole = new RunWriter();
    for (int i = 0; i < 30_000; i++) {
      PageRun run = new PageRun(300L * i, 1 + i % 200);
      frames.add(run);
      whole.add(run);
    }
    byte[] expected = MessageDigest.getInstance("SHA-256").digest(whole.bytes());

    LedgerDigest digest = LedgerDigest.ofFrames(frames);

    assertThat(digest.bytes()).isEqualTo(expected);
  }

  @Test
  void dependsOnWhatIsLostAndNotOnWhoSaidSo() {
    PoisonEntry[] pages = new PoisonEntry[512];
    for (int i = 0; i < pages.length; i++) {
      pages[i] = entry(0x200000 + 0x1000L * i, 12, "host-" + i);
    }

    assertThat(ledgerOf(pages).digest()).isEqualTo(ledgerOf(extent(0x200000, 21)).digest());
  }

  @Test
  void differsByOnePage() {
    assertThat(ledgerOf(page(0x5000)).digest()).isNotEqualTo(ledgerOf(page(0x6000)).digest());
  }

  @Test
  void leavesHeldPagesOut() {
    PoisonLedger ledger = ledgerOf(page(0x5000), page(0x6000));

    ledger.markHeld(frames(6));

    assertThat(ledger.digest()).isEqualTo(ledgerOf(page(0x5000)).digest());
  }

  @Test
  void survivesPrintingAndParsing() {
    LedgerDigest digest = ledgerOf(page(0x5000)).digest();

    assertThat(LedgerDigest.parse(digest.toString())).isEqualTo(digest).hasSameHashCodeAs(digest);
    assertThat(LedgerDigest.of(digest.bytes())).isEqualTo(digest);
  }

  @Test
  void doesNotShareItsBytes() {
    LedgerDigest digest = new PoisonLedger().digest();

    digest.bytes()[0] = 0;

    assertThat(digest).isEqualTo(new PoisonLedger().digest());
  }

  @Test
  void refusesAnotherLength() {
    assertThatThrownBy(() -> LedgerDigest.of(new byte[31]))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("a ledger digest of 31 bytes; 32 are needed");
    assertThatThrownBy(() -> LedgerDigest.parse("abcd"))
        .isInstanceOf(IllegalArgumentException.class);
  }
}
