package ward.poison;

import static org.assertj.core.api.Assertions.assertThat;
import static ward.poison.Losses.entry;
import static ward.poison.Losses.extent;
import static ward.poison.Losses.frames;
import static ward.poison.Losses.page;
import static ward.poison.Losses.run;

import org.junit.jupiter.api.Test;

class PoisonLedgerTest {

  private final PoisonLedger ledger = new PoisonLedger();

  @Test
  void everyByteOfALostExtentIsLost() {
    ledger.record(extent(0x200000, 21));

    assertThat(ledger.contains(0x1fffff)).isFalse();
    assertThat(ledger.contains(0x200000)).isTrue();
    assertThat(ledger.contains(0x3fffff)).isTrue();
    assertThat(ledger.contains(0x400000)).isFalse();
    assertThat(ledger.pageCount()).isEqualTo(512);
  }

  @Test
  void theFirstReportOfALossIsNewsAndTheSecondIsNot() {
    assertThat(ledger.record(page(0x5000))).isTrue();
    assertThat(ledger.record(page(0x5000))).isFalse();
    assertThat(ledger.record(entry(0x5000, 12, "host-b"))).isFalse();

    assertThat(ledger.entries()).containsExactly(page(0x5000));
  }

  @Test
  void anExtentThatAddsASinglePageIsNews() {
    for (long address = 0x200000; address < 0x3ff000; address += 0x1000) {
      ledger.record(page(address));
    }

    assertThat(ledger.record(extent(0x200000, 21))).isTrue();
    assertThat(ledger.record(page(0x3ff000))).isFalse();
  }

  @Test
  void listsEntriesInOrderOfAddress() {
    ledger.record(page(0x9000));
    ledger.record(page(0x1000));
    ledger.record(extent(0x200000, 21));

    assertThat(ledger.entries()).containsExactly(page(0x1000), page(0x9000), extent(0x200000, 21));
  }

  @Test
  void knowsALossAtTheTopOfTheAddressSpace() {
    long last = Long.MAX_VALUE & ~((1L << 30) - 1);

    ledger.record(extent(last, 30));

    assertThat(ledger.contains(Long.MAX_VALUE)).isTrue();
    assertThat(ledger.frames()).isEqualTo(run(last >>> 12, 1 << 18));
  }

  @Test
  void aLostByteBelongsToTheLargestExtentThatIsKnown() {
    ledger.record(page(0x201000));
    ledger.record(extent(0x200000, 21));
    ledger.record(page(0x5000));

    assertThat(ledger.extentAt(0x201fff)).hasValue(21);
    assertThat(ledger.extentAt(0x5001)).hasValue(12);
    assertThat(ledger.extentAt(0x6000)).isEmpty();
  }

  @Test
  void anExtentOfWhichAPageIsHeldIsLostPageByPage() {
    ledger.record(extent(0x200000, 21));
    ledger.markHeld(frames(0x201));

    assertThat(ledger.extentAt(0x200000)).hasValue(12);
    assertThat(ledger.extentAt(0x201000)).isEmpty();
  }

  @Test
  void aHeldPageIsIntactForTheGuestButItsEntryStays() {
    ledger.record(extent(0x200000, 21));

    assertThat(ledger.markHeld(frames(0x201))).isTrue();

    assertThat(ledger.contains(0x201000)).isFalse();
    assertThat(ledger.pageCount()).isEqualTo(511);
    assertThat(ledger.heldFrames()).isEqualTo(frames(0x201));
    assertThat(ledger.entries()).containsExactly(extent(0x200000, 21));
  }

  @Test
  void aPageThatIsNotLostCannotBeHeld() {
    ledger.record(page(0x5000));

    assertThat(ledger.markHeld(frames(6))).isFalse();
    assertThat(ledger.heldFrames().isEmpty()).isTrue();
  }

  @Test
  void theSameEntryAgainDoesNotLoseAHeldPage() {
    ledger.record(page(0x5000));
    ledger.markHeld(frames(5));

    assertThat(ledger.record(page(0x5000))).isFalse();
    assertThat(ledger.contains(0x5000)).isFalse();
  }

  @Test
  void aNewLossOfAHeldPageCounts() {
    ledger.record(page(0x5000));
    ledger.markHeld(frames(5));

    assertThat(ledger.record(entry(0x5000, 12, "host-b"))).isTrue();

    assertThat(ledger.contains(0x5000)).isTrue();
    assertThat(ledger.heldFrames().isEmpty()).isTrue();
    assertThat(ledger.entries()).hasSize(2);
  }

  @Test
  void whatIsTrueForTheGuestLeavesHeldPagesOutAndSplitsAnExtentAroundThem() {
    ledger.record(page(0x5000));
    ledger.record(page(0x6000));
    ledger.record(extent(0x8000, 13));
    ledger.markHeld(frames(5, 8));

    assertThat(ledger.effectiveEntries()).containsExactly(page(0x6000), page(0x9000));
  }

  @Test
  void whatItHandsOutIsACopy() {
    ledger.record(page(0x5000));

    ledger.frames().remove(5);
    ledger.heldFrames().add(5);

    assertThat(ledger.frames()).isEqualTo(frames(5));
    assertThat(ledger.heldFrames().isEmpty()).isTrue();
  }

  @Test
  void saysWhatOnlyOneOfTwoLedgersKnows() {
    PoisonLedger other = new PoisonLedger();
    ledger.record(page(0x1000));
    ledger.record(page(0x2000));
    other.record(page(0x2000));
    other.record(page(0x3000));

    LedgerDifference difference = ledger.difference(other);

    assertThat(difference).isEqualTo(new LedgerDifference(frames(1), frames(3)));
    assertThat(difference.isEmpty()).isFalse();
    assertThat(ledger.difference(ledger).isEmpty()).isTrue();
  }

  @Test
  void aPageThatTheGuestGaveUpIsNotLostUntilItIsLostAgain() {
    ledger.record(page(0x5000));
    LedgerDigest lost = ledger.digest();

    ledger.giveUp(frames(5));

    assertThat(ledger.contains(0x5000)).isFalse();
    assertThat(ledger.givenUpFrames()).isEqualTo(frames(5));
    assertThat(ledger.effectiveEntries()).isEmpty();
    assertThat(ledger.entries()).containsExactly(page(0x5000));
    assertThat(ledger.record(page(0x5000))).as("the same loss is no news").isFalse();
    assertThat(ledger.record(Losses.entry(0x5000, 12, "host-b"))).isTrue();
    assertThat(ledger.givenUpFrames().isEmpty()).isTrue();
    assertThat(ledger.digest()).isEqualTo(lost);
  }

  @Test
  void anExtentOfWhichAPageIsGivenUpIsLostPageByPage() {
    ledger.record(extent(0x200000, 21));

    ledger.giveUp(frames(0x201));

    assertThat(ledger.effectiveEntries()).hasSize(511).doesNotContain(page(0x201000));
  }

  @Test
  void whatWasNeverLostHereCanBeGivenUpForTheNextHost() {
    assertThat(ledger.giveUp(frames(7))).isTrue();
    assertThat(ledger.giveUp(frames(7))).isFalse();

    assertThat(ledger.givenUpFrames()).isEqualTo(frames(7));
    assertThat(ledger.pageCount()).isZero();
  }
}
