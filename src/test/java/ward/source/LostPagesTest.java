package ward.source;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import ward.memory.PageSet;
import ward.poison.FickleLedger;
import ward.poison.LedgerJournal;
import ward.poison.Origin;
import ward.poison.PoisonEntry;

class LostPagesTest {

  @TempDir Path directory;

  private Bench bench;
  private LostPages lost;

  @BeforeEach
  void open() throws IOException {
    bench = new Bench(directory);
    lost = bench.lost;
  }

  @AfterEach
  void close() throws IOException {
    bench.close();
  }

  private PageSet onDisk() throws IOException {
    return LedgerJournal.read(directory.resolve("ledger")).ledger().frames();
  }

  @Test
  void aLossThatIsFoundIsOnDiskBeforeItIsAnswered() throws Exception {
    List<PageSet> seenWhenAnswered = new ArrayList<>();
    List<List<PoisonEntry>> answers = new ArrayList<>();

    lost.found(
        105,
        entries -> {
          answers.add(entries);
          try {
            seenWhenAnswered.add(onDisk());
          } catch (IOException e) {
            throw new AssertionError(e);
          }
        });

    assertThat(answers).isEmpty();
    bench.settle();
    assertThat(bench.failures).isEmpty();
    assertEquals(List.of(SmallGuest.frames(105)), seenWhenAnswered);
    PoisonEntry entry = answers.get(0).get(0);
    assertEquals(SmallGuest.LAYOUT.addressOf(105), entry.guestPhysicalAddress());
    assertEquals(new Origin("venus", Bench.NOW, Origin.Discovery.UNREADABLE), entry.origin());
    assertTrue(bench.served.isLost(105));
    assertEquals(List.of(entry), bench.events.learnt);
  }

  @Test
  void aLossThatTheDiskRefusesIsNotAnswered() throws Exception {
    bench.guest.journal.close();
    List<List<PoisonEntry>> answers = new ArrayList<>();

    lost.found(3, answers::add);
    bench.settle();

    assertThat(answers).isEmpty();
    assertThat(bench.failures).hasSize(1);
    assertFalse(bench.served.isLost(3));
  }

  @Test
  void whileTheLedgerIsFullALossIsNotAnsweredAndThenItIs() throws Exception {
    FickleLedger ledger = new FickleLedger(SmallGuest.LAYOUT.guest());
    try (Bench full = new Bench(new SmallGuest(directory, ledger.journal()))) {
      full.patience = Duration.ofMinutes(1);
      List<List<PoisonEntry>> answers = new ArrayList<>();
      ledger.fill();
      full.lost.found(3, answers::add);
      full.turn();
      full.turn();
      assertThat(answers).isEmpty();
      assertFalse(full.served.isLost(3));

      ledger.free();
      full.settle();

      assertThat(answers).hasSize(1);
      assertTrue(full.served.isLost(3));
      assertEquals(SmallGuest.frames(3), ledger.onDisk().frames());
      assertThat(full.failures).isEmpty();
    }
  }

  @Test
  void whatTheDestinationHeldIsSettledOnlyOnceItIsOnDisk() throws Exception {
    FickleLedger ledger = new FickleLedger(SmallGuest.LAYOUT.guest());
    try (Bench full = new Bench(new SmallGuest(directory, ledger.journal()))) {
      full.patience = Duration.ofMinutes(1);
      List<String> settled = new ArrayList<>();
      full.lost.record(List.of(SmallGuest.entry(4)));
      full.lost.confirmed(new PageSet(), SmallGuest.frames(4));
      ledger.fill();

      full.lost.settle(() -> settled.add("settled"));
      full.turn();

      assertThat(settled).isEmpty();
      assertFalse(full.lost.isSettled());
      ledger.free();
      full.settle();
      assertThat(settled).containsExactly("settled");
      assertTrue(full.lost.isSettled());
      assertTrue(ledger.onDisk().frames().isEmpty());
    }
  }

  @Test
  void aLossThatWasKnownKeepsItsOrigin() throws Exception {
    PoisonEntry old = SmallGuest.entry(7);
    bench.guest.journal.append(List.of(old));
    lost.startFromLedger();
    List<List<PoisonEntry>> answers = new ArrayList<>();

    lost.found(7, answers::add);
    bench.settle();

    assertEquals(List.of(List.of(old)), answers);
    assertThat(bench.events.learnt).isEmpty();
  }

  @Test
  void onlyWhatTheMapDidNotSayWaitsForTheDestination() throws Exception {
    bench.guest.journal.append(List.of(SmallGuest.entry(1)));
    lost.startFromLedger();
    assertTrue(lost.isConfirmed());

    lost.record(List.of(SmallGuest.entry(2), SmallGuest.entry(3)));
    assertFalse(lost.isConfirmed());
    lost.inTheMap(SmallGuest.frames(2));
    assertFalse(lost.isConfirmed());
    lost.confirmed(SmallGuest.frames(3), new PageSet());

    assertTrue(lost.isConfirmed());
  }

  @Test
  void aPageThatTheDestinationHeldIsNotLostForTheGuestButStaysOnDiskUntilItHasTheGuest()
      throws Exception {
    lost.record(List.of(SmallGuest.entry(4), SmallGuest.entry(5)));

    lost.confirmed(SmallGuest.frames(4), SmallGuest.frames(5));

    assertTrue(lost.isConfirmed());
    assertEquals(SmallGuest.frames(4), lost.lostForTheGuest());
    assertEquals(SmallGuest.frames(4, 5), onDisk());

    lost.settle(() -> {});
    bench.settle();

    assertEquals(SmallGuest.frames(4), onDisk());
  }

  @Test
  void theDestinationCannotHoldWhatTheMapCalledLost() throws Exception {
    bench.guest.journal.append(List.of(SmallGuest.entry(6)));
    lost.startFromLedger();

    lost.confirmed(new PageSet(), SmallGuest.frames(6));

    assertEquals(SmallGuest.frames(6), lost.lostForTheGuest());
  }

  @Test
  void anExtentThatIsPartlyIntactIsNotSentWhole() throws Exception {
    bench.guest.journal.append(List.of(SmallGuest.extent(32, 14)));
    bench.guest.journal.appendHeld(SmallGuest.frames(33, 34));
    lost.startFromLedger();

    lost.record(List.of(lost.unreadable(33)));

    assertEquals(SmallGuest.frames(32, 33, 35), lost.lostForTheGuest());
    assertThat(lost.entriesAt(33))
        .isNotEmpty()
        .allSatisfy(entry -> assertEquals(PoisonEntry.MIN_PAGE_SHIFT, entry.pageShift()));
  }

  @Test
  void everyPageOfAnExtentIsLost() throws Exception {
    lost.record(List.of(SmallGuest.extent(8, 14)));

    for (long page = 8; page < 12; page++) {
      assertTrue(bench.served.isLost(page));
    }
    assertFalse(bench.served.isLost(12));
    assertEquals(14, lost.entriesAt(10).get(0).pageShift());
  }
}
