package ward.poison;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static ward.poison.Losses.extent;
import static ward.poison.Losses.frames;
import static ward.poison.Losses.page;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import ward.poison.FakeDisk.Action;
import ward.poison.LedgerException.Kind;

class LedgerJournalFaultTest {

  private static final Path PATH = Path.of("/var/lib/ward/journal");

  private final FakeDisk disk = new FakeDisk();
  private LedgerJournal journal;

  @BeforeEach
  void openWithOneEntry() throws Exception {
    journal = LedgerJournal.over(disk, () -> {}, PATH);
    journal.append(List.of(page(0x1000)));
  }

  private PoisonLedger afterPowerFailure() throws LedgerException {
    return JournalReplay.of(PATH, disk.afterPowerFailure()).ledger();
  }

  @Test
  void aLossIsOnTheDiskBeforeAnyoneCanSeeIt() throws Exception {
    List<Boolean> visible = new ArrayList<>();
    disk.onForce(() -> visible.add(journal.ledger().contains(0x2000)));

    journal.append(List.of(page(0x2000)));

    assertThat(visible).containsExactly(false);
    assertThat(journal.ledger().contains(0x2000)).isTrue();
    assertThat(afterPowerFailure().contains(0x2000)).isTrue();
  }

  @Test
  void aHeldMarkIsOnTheDiskBeforeAnyoneCanSeeIt() throws Exception {
    List<Boolean> visible = new ArrayList<>();
    disk.onForce(() -> visible.add(journal.ledger().contains(0x1000)));

    journal.appendHeld(frames(1));

    assertThat(visible).containsExactly(true);
    assertThat(journal.ledger().contains(0x1000)).isFalse();
    assertThat(afterPowerFailure().heldFrames()).isEqualTo(frames(1));
  }

  @Test
  void aBatchIsForcedOnce() throws Exception {
    int before = disk.forces;

    journal.append(List.of(page(0x2000), page(0x3000), extent(0x200000, 21)));

    assertThat(disk.forces - before).isEqualTo(1);
  }

  @Test
  void whatIsNoNewsIsNotWritten() throws Exception {
    int before = disk.forces;

    assertThat(journal.append(List.of(page(0x1000)))).isEmpty();
    journal.appendHeld(frames(77));

    assertThat(disk.forces).isEqualTo(before);
  }

  @Test
  void aFailedForceLeavesLedgerAndFileAsTheyWere() {
    byte[] before = disk.read();
    disk.failOneForce();

    assertThatThrownBy(() -> journal.append(List.of(page(0x2000), page(0x3000))))
        .isInstanceOfSatisfying(LedgerException.class, e -> assertThat(e.kind()).isEqualTo(Kind.IO))
        .hasMessage("cannot append to %s: IOException: Input/output error", PATH);

    assertThat(journal.ledger().entries()).containsExactly(page(0x1000));
    assertThat(disk.read()).isEqualTo(before);
    assertThat(disk.afterPowerFailure()).isEqualTo(before);
  }

  @Test
  void aDiskThatFillsUpInTheMiddleOfARecordLeavesNoHalfRecord() throws Exception {
    byte[] before = disk.read();
    disk.failInTheMiddleOfWrites();

    assertThatThrownBy(() -> journal.append(List.of(page(0x2000))))
        .hasMessageContaining("No space left on device");
    assertThat(disk.read()).isEqualTo(before);

    disk.recover();
    journal.append(List.of(page(0x3000)));
    assertThat(afterPowerFailure().entries()).containsExactly(page(0x1000), page(0x3000));
  }

  @Test
  void afterAFailedAppendTheSameLossIsStillNews() throws Exception {
    disk.failOneForce();
    assertThatThrownBy(() -> journal.append(List.of(page(0x2000))))
        .isInstanceOf(LedgerException.class);

    assertThat(journal.append(List.of(page(0x2000)))).containsExactly(page(0x2000));
    assertThat(afterPowerFailure().contains(0x2000)).isTrue();
  }

  /**
   * The kernel may take pages for clean that an fsync(2) failed to write: they are written again.
   */
  @Test
  void afterAFailedForceTheWholeJournalIsWrittenBeforeTheNextRecord() throws Exception {
    disk.fail(Action.FORCE, Action.TRUNCATE);
    assertThatThrownBy(() -> journal.append(List.of(page(0x2000))))
        .isInstanceOf(LedgerException.class);
    byte[] before = disk.afterPowerFailure();
    disk.recover();
    disk.writes.clear();

    journal.append(List.of(page(0x3000)));

    int news = disk.read().length - before.length;
    assertThat(disk.writes)
        .containsExactly("0+" + before.length, "%d+%d".formatted(before.length, news));
    assertThat(afterPowerFailure().entries()).containsExactly(page(0x1000), page(0x3000));
  }

  @Test
  void anAppendThatFailsAgainAndAgainIsNoNewsUntilItSucceeds() throws Exception {
    disk.fail(Action.WRITE);
    for (int i = 0; i < 3; i++) {
      assertThatThrownBy(() -> journal.append(List.of(page(0x2000))))
          .isInstanceOf(LedgerException.class);
    }
    assertThat(journal.ledger().contains(0x2000)).isFalse();
    disk.recover();

    assertThat(journal.append(List.of(page(0x2000)))).containsExactly(page(0x2000));
    assertThat(afterPowerFailure().contains(0x2000)).isTrue();
  }

  /** Who had it before may have ended right after a failed fsync(2). */
  @Test
  void aJournalIsWrittenAnewWhenItIsOpened() throws Exception {
    FakeDisk cached = new FakeDisk(disk.read());
    cached.writes.clear();

    LedgerJournal.over(cached, () -> {}, PATH);

    assertThat(cached.writes).containsExactly("0+" + cached.read().length);
    assertThat(cached.forces).isEqualTo(1);
  }

  @Test
  void aJournalThatCannotBeForcedIsNotOpened() {
    disk.fail(Action.FORCE);

    assertThatThrownBy(() -> LedgerJournal.over(disk, () -> {}, PATH))
        .hasMessage("cannot open %s: IOException: Input/output error", PATH);
  }

  @Test
  void whatTheGuestGaveUpIsOnTheDiskBeforeAnyoneCanSeeIt() throws Exception {
    List<Boolean> lost = new ArrayList<>();
    disk.onForce(() -> lost.add(journal.ledger().contains(0x1000)));

    journal.appendGivenUp(frames(1));

    assertThat(lost).containsExactly(true);
    assertThat(journal.ledger().contains(0x1000)).isFalse();
    assertThat(afterPowerFailure().givenUpFrames()).isEqualTo(frames(1));
  }

  @Test
  void whatIsGivenUpAlreadyIsNotWrittenAgain() throws Exception {
    journal.appendGivenUp(frames(1, 9));
    int before = disk.forces;

    journal.appendGivenUp(frames(1, 9));

    assertThat(disk.forces).isEqualTo(before);
  }

  @Test
  void aHeldMarkThatCannotBeWrittenIsNotMade() {
    disk.fail(Action.WRITE);

    assertThatThrownBy(() -> journal.appendHeld(frames(1))).isInstanceOf(LedgerException.class);

    assertThat(journal.ledger().contains(0x1000)).isTrue();
  }

  @Test
  void closesTheFileWhenItCannotBeRead() {
    FakeDisk noJournal = new FakeDisk(new byte[64]);

    assertThatThrownBy(() -> LedgerJournal.over(noJournal, () -> {}, PATH))
        .isInstanceOf(LedgerException.class);

    assertThat(noJournal.closed).isTrue();
  }

  @Test
  void takesNothingAfterClosing() throws Exception {
    journal.close();
    journal.close();

    assertThatThrownBy(() -> journal.append(List.of(page(0x2000))))
        .isInstanceOf(IllegalStateException.class)
        .hasMessage("%s is closed", PATH);
    assertThat(disk.closed).isTrue();
  }
}
