package ward.destination;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.stream.LongStream;
import jnr.constants.platform.Errno;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import ward.destination.PageTable.State;
import ward.memory.PageRun;
import ward.memory.PageSet;
import ward.poison.FickleLedger;
import ward.poison.LedgerException;
import ward.poison.LedgerJournal;
import ward.poison.LedgerQueue;
import ward.poison.PoisonEntry;
import ward.poison.PoisonMap;
import ward.uffd.FillResult;

@Timeout(20)
class PoisonRecorderTest {

  private static final long SOURCE = 0x1000_0000;

  @TempDir Path directory;

  private final FakeFiller filler = new FakeFiller();
  private final Fixture fixture = new Fixture(filler, 1024);
  private final Deque<Runnable> disk = new ArrayDeque<>();
  private final List<PageSet> outcomes = new ArrayList<>();
  private Duration patience = Duration.ZERO;
  private LedgerJournal journal;
  private PoisonRecorder recorder;

  @BeforeEach
  void openLedger() throws Exception {
    journal = LedgerJournal.open(directory, "vm-1");
    recorder = recorderOf(journal);
  }

  private PoisonRecorder recorderOf(LedgerJournal into) {
    return new PoisonRecorder(
        fixture.memory.layout(),
        fixture.table,
        fixture.resolver,
        into,
        new LedgerQueue((task, millis) -> disk.add(task), () -> patience, fixture.failures::add),
        fixture);
  }

  @AfterEach
  void closeLedger() throws Exception {
    journal.close();
  }

  private void accept(PoisonEntry... entries) {
    recorder.accept(
        List.of(entries),
        (poisoned, held) -> {
          outcomes.add(poisoned);
          outcomes.add(held);
        });
  }

  private static PageSet frames(long... pages) {
    PageSet frames = new PageSet();
    LongStream.of(pages).forEach(page -> frames.add(Fixture.frame(page)));
    return frames;
  }

  private List<PoisonEntry> onDisk() throws LedgerException {
    return LedgerJournal.read(directory).ledger().entries();
  }

  @Test
  void claimsThePageAtOnceSoThatNoContentCanComeBetween() throws Exception {
    accept(Fixture.lost(3));

    long placed = fixture.resolver.data(new PageRun(3, 1), SOURCE);

    assertThat(placed).isZero();
    assertThat(fixture.table.get(3)).isEqualTo(State.POISONED);
    assertThat(filler.calls).isEmpty();
    assertThat(outcomes).isEmpty();
    assertThat(fixture.resolver.unresolved()).isEqualTo(1024);
  }

  @Test
  void theEntryIsOnDiskBeforeTheMarkerIsPlaced() {
    List<PoisonEntry> seen = new ArrayList<>();
    filler.beforeCall = () -> seen.addAll(unchecked());
    accept(Fixture.lost(3));

    disk.remove().run();

    assertThat(seen).containsExactly(Fixture.lost(3));
    assertThat(filler.calls).containsExactly("poison 3+1");
    assertThat(outcomes).containsExactly(frames(3), frames());
    assertThat(fixture.resolver.counts().poisoned()).isEqualTo(1);
  }

  private List<PoisonEntry> unchecked() {
    try {
      return onDisk();
    } catch (LedgerException e) {
      throw new AssertionError(e);
    }
  }

  @Test
  void aPageThatWasCopiedInTimeIsReportedAndNotRecorded() throws Exception {
    fixture.resolver.data(new PageRun(4, 1), SOURCE);

    accept(Fixture.lost(4), Fixture.lost(5));
    disk.remove().run();

    assertThat(outcomes).containsExactly(frames(5), frames(4));
    assertThat(onDisk()).containsExactly(Fixture.lost(5));
    assertThat(filler.contents).containsEntry(4L, SOURCE).containsEntry(5L, FakeFiller.POISON);
  }

  @Test
  void aLargeExtentIsRecordedAsOneEntryWhenAllOfItIsLost() throws Exception {
    PoisonEntry extent = Fixture.lost(256, 21);

    accept(extent);
    disk.remove().run();

    assertThat(onDisk()).containsExactly(extent);
    assertThat(filler.calls).containsExactly("poison 256+512");
    assertThat(fixture.resolver.counts().poisoned()).isEqualTo(512);
  }

  @Test
  void aLargeExtentOfWhichAPageIsHeldIsRecordedPageByPage() throws Exception {
    fixture.resolver.data(new PageRun(300, 1), SOURCE);

    accept(Fixture.lost(256, 21));
    disk.remove().run();

    assertThat(onDisk()).hasSize(511).doesNotContain(Fixture.lost(300)).contains(Fixture.lost(301));
    assertThat(filler.calls).containsExactly("copy 300+1", "poison 256+44", "poison 301+467");
    assertThat(outcomes.get(1)).isEqualTo(frames(300));
  }

  @Test
  void poisonReportedTwiceIsPlacedAndCountedOnce() throws Exception {
    accept(Fixture.lost(3));
    accept(Fixture.lost(3), Fixture.lost(3));
    disk.forEach(Runnable::run);

    assertThat(onDisk()).containsExactly(Fixture.lost(3));
    assertThat(filler.calls).containsExactly("poison 3+1");
    assertThat(fixture.resolver.counts().poisoned()).isEqualTo(1);
    assertThat(outcomes).containsExactly(frames(3), frames(), frames(3), frames());
  }

  @Test
  void aLedgerThatCannotBeWrittenPlacesNoMarkerAndSaysSo() throws Exception {
    accept(Fixture.lost(3));
    journal.close();

    disk.remove().run();

    assertThat(fixture.failures).hasSize(1);
    assertThat(fixture.failures.get(0)).hasMessage(directory.toRealPath() + "/journal is closed");
    assertThat(filler.calls).isEmpty();
    assertThat(outcomes).isEmpty();
    assertThat(fixture.table.get(3)).isEqualTo(State.POISONED);
  }

  private void acceptMap(PoisonMap losses) {
    recorder.acceptMap(
        losses,
        (poisoned, held) -> {
          outcomes.add(poisoned);
          outcomes.add(held);
        });
  }

  private static PoisonMap map(PoisonEntry... entries) {
    return PoisonMap.of(List.of(entries));
  }

  @Test
  void aMapIsClaimedAtOnceAndMarkedByOneCallARunWhenItIsOnDisk() throws Exception {
    List<PoisonEntry> seen = new ArrayList<>();
    filler.beforeCall = () -> seen.addAll(unchecked());
    acceptMap(map(Fixture.lost(3), Fixture.lost(4), Fixture.lost(5), Fixture.lost(9)));
    long placed = fixture.resolver.data(new PageRun(3, 3), SOURCE);
    assertThat(placed).isZero();
    assertThat(filler.calls).isEmpty();
    assertThat(outcomes).isEmpty();

    disk.remove().run();

    assertThat(filler.calls).containsExactly("poison 3+3", "poison 9+1");
    assertThat(seen).startsWith(Fixture.lost(3), Fixture.lost(4), Fixture.lost(5), Fixture.lost(9));
    assertThat(outcomes).containsExactly(frames(3, 4, 5, 9), frames());
    assertThat(fixture.resolver.counts().poisoned()).isEqualTo(4);
    assertThat(fixture.resolver.unresolved()).isEqualTo(1020);
  }

  @Test
  void aPageOfARunThatHasItsContentIsHeldAndTheRunIsMarkedAroundIt() throws Exception {
    fixture.resolver.data(new PageRun(4, 1), SOURCE);
    fixture.fault(5);

    acceptMap(map(Fixture.lost(3), Fixture.lost(4), Fixture.lost(5), Fixture.lost(6)));
    disk.remove().run();

    assertThat(filler.calls).containsExactly("copy 4+1", "poison 3+1", "poison 5+2");
    assertThat(outcomes).containsExactly(frames(3, 5, 6), frames(4));
    assertThat(onDisk()).containsExactly(Fixture.lost(3), Fixture.lost(5), Fixture.lost(6));
    assertThat(filler.contents).containsEntry(4L, SOURCE);
  }

  @Test
  void aLargeExtentOfAMapIsOneEntryUnlessAPageOfItIsHeld() throws Exception {
    fixture.resolver.data(new PageRun(300, 1), SOURCE);

    acceptMap(map(Fixture.lost(256, 21), Fixture.lost(768, 20)));
    disk.remove().run();

    assertThat(onDisk())
        .hasSize(512)
        .doesNotContain(Fixture.lost(300))
        .contains(Fixture.lost(301), Fixture.lost(768, 20));
    assertThat(filler.calls).containsExactly("copy 300+1", "poison 256+44", "poison 301+723");
    assertThat(outcomes.get(1)).isEqualTo(frames(300));
  }

  @Test
  void whatAMapSaysAgainIsPlacedAndCountedOnce() throws Exception {
    accept(Fixture.lost(3));
    acceptMap(map(Fixture.lost(2), Fixture.lost(3)));
    acceptMap(map(Fixture.lost(2), Fixture.lost(3)));
    disk.forEach(Runnable::run);

    assertThat(filler.calls).containsExactly("poison 3+1", "poison 2+1");
    assertThat(fixture.resolver.counts().poisoned()).isEqualTo(2);
    assertThat(outcomes)
        .containsExactly(frames(3), frames(), frames(2, 3), frames(), frames(2, 3), frames());
    assertThat(onDisk()).containsExactly(Fixture.lost(2), Fixture.lost(3));
  }

  @Test
  void ofARunThatTheKernelMarksInPartTheRestIsMarkedNext() throws Exception {
    filler
        .then(FillResult.Outcome.INTERRUPTED, 2, Errno.EAGAIN)
        .then(FillResult.Outcome.ALREADY_RESOLVED, 0, Errno.EEXIST);

    acceptMap(map(Fixture.lost(3), Fixture.lost(4), Fixture.lost(5), Fixture.lost(6)));
    disk.remove().run();

    assertThat(filler.calls).containsExactly("poison 3+4", "poison 5+2", "poison 6+1");
    assertThat(outcomes.get(0)).isEqualTo(frames(3, 4, 5, 6));
  }

  @Test
  void whileTheLedgerIsFullNothingOfAMapIsMarked() throws Exception {
    FickleLedger ledger = new FickleLedger("vm-1");
    PoisonRecorder careful = recorderOf(ledger.journal());
    patience = Duration.ofMinutes(1);
    ledger.fill();
    careful.acceptMap(
        map(Fixture.lost(3), Fixture.lost(4)), (poisoned, held) -> outcomes.add(poisoned));
    turn();
    turn();
    assertThat(filler.calls).isEmpty();
    assertThat(outcomes).isEmpty();

    ledger.free();
    turn();

    assertThat(filler.calls).containsExactly("poison 3+2");
    assertThat(outcomes).containsExactly(frames(3, 4));
    assertThat(ledger.onDisk().frames()).isEqualTo(frames(3, 4));
    assertThat(fixture.failures).isEmpty();
  }

  /** Not poison, which would be in no ledger after a crash; not content; and nobody is told. */
  @Test
  void whileTheLedgerIsFullAPageIsNothingAndWhateverComesLaterWaitsForIt() throws Exception {
    FickleLedger ledger = new FickleLedger("vm-1");
    PoisonRecorder careful = recorderOf(ledger.journal());
    patience = Duration.ofMinutes(1);
    ledger.fill();
    careful.accept(List.of(Fixture.lost(3)), (poisoned, held) -> outcomes.add(poisoned));
    careful.accept(List.of(Fixture.lost(3)), (poisoned, held) -> outcomes.add(poisoned));
    careful.afterwards(() -> outcomes.add(frames(99)));
    turn();
    turn();
    long placed = fixture.resolver.data(new PageRun(3, 1), SOURCE);
    fixture.fault(3);

    assertThat(placed).isZero();
    assertThat(filler.calls).isEmpty();
    assertThat(filler.woken).isEmpty();
    assertThat(outcomes).isEmpty();
    assertThat(fixture.resolver.unresolved()).isEqualTo(1024);
    ledger.free();
    turn();
    assertThat(outcomes).containsExactly(frames(3), frames(3), frames(99));
    assertThat(filler.calls).containsExactly("poison 3+1");
    assertThat(ledger.onDisk().frames()).isEqualTo(frames(3));
    assertThat(fixture.failures).isEmpty();
  }

  private void turn() {
    for (int left = disk.size(); left > 0; left--) {
      disk.remove().run();
    }
  }

  @Test
  void aMarkerIsNotPlacedBeforeItsEntryEvenWhenTheGuestGaveThePageBackAndTouchesIt() {
    accept(Fixture.lost(3));
    fixture.giveBack(new PageRun(3, 1));

    fixture.fault(3);
    List<String> before = List.copyOf(filler.calls);
    disk.remove().run();

    assertThat(before).isEmpty();
    assertThat(filler.contents).containsEntry(3L, FakeFiller.POISON);
    assertThat(filler.woken).contains(3L);
  }
}
