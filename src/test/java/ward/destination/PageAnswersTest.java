package ward.destination;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.Unpooled;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import ward.destination.PageTable.State;
import ward.memory.PageRun;
import ward.memory.PageSet;
import ward.memory.Pages;
import ward.poison.LedgerJournal;
import ward.poison.LedgerQueue;
import ward.wire.MixedPages;
import ward.wire.PageAnswer;
import ward.wire.PageRequest;
import ward.wire.ProtocolException;

@Timeout(20)
class PageAnswersTest {

  @TempDir Path directory;

  private final FakeFiller filler = new FakeFiller();
  private final Fixture fixture = new Fixture(filler, 16);
  private final List<String> retries = new ArrayList<>();
  private final List<PageSet> learnt = new ArrayList<>();
  private LedgerJournal journal;
  private PageAnswers answers;

  @BeforeEach
  void openLedger() throws Exception {
    journal = LedgerJournal.open(directory, "vm-1");
    PoisonRecorder recorder =
        new PoisonRecorder(
            fixture.memory.layout(),
            fixture.table,
            fixture.resolver,
            journal,
            new LedgerQueue(
                (task, millis) -> task.run(), () -> Duration.ZERO, fixture.failures::add),
            fixture);
    answers =
        new PageAnswers(
            new PageAnswers.Parts(
                fixture.memory.layout(),
                fixture.faults,
                fixture.resolver,
                recorder,
                () -> fixture.heard.add("flush")),
            fixture,
            (id, millis) -> retries.add("%d in %d ms".formatted(id, millis)),
            (poisoned, held) -> learnt.add(poisoned));
  }

  @AfterEach
  void closeLedger() throws Exception {
    journal.close();
  }

  private static void assertRefused(
      org.assertj.core.api.ThrowableAssert.ThrowingCallable call, String message) {
    assertThatThrownBy(call).isInstanceOf(ProtocolException.class).hasMessage(message);
  }

  @Test
  void placesTheBytesOfAnAnswerAndForgetsTheRequest() throws Exception {
    fixture.fault(3);
    ByteBuf body = Unpooled.directBuffer(Pages.SIZE_BYTES).writerIndex(Pages.SIZE_BYTES);
    PageAnswer answer = new PageAnswer.Data(1, Fixture.gpa(3), 1, body);

    answers.onDemand(answer);

    assertThat(filler.contents).containsEntry(3L, body.memoryAddress());
    assertThatThrownBy(() -> answers.onDemand(answer)).isInstanceOf(ProtocolException.class);
    body.release();
  }

  @Test
  void anAnswerAboutPagesThatWereAskedForTogetherPlacesThoseWithoutAnotherWriter()
      throws Exception {
    fixture.faults.ask(new PageRun(0, 8));
    assertThat(fixture.table.poison(2)).isTrue(); // late, while the answer is on its way
    ByteBuf body = Unpooled.directBuffer(4 * Pages.SIZE_BYTES).writerIndex(4 * Pages.SIZE_BYTES);

    answers.onDemand(1, Fixture.gpa(0), 4, body.memoryAddress());
    answers.onDemand(new PageAnswer.Zero(5, Fixture.gpa(4), 4));

    assertThat(filler.calls).containsExactly("copy 0+2", "copy 3+1", "zero 4+4");
    assertThat(fixture.heard).containsExactly("duplicate 1");
    assertThat(fixture.table.get(2)).isEqualTo(State.POISONED);
    assertThat(fixture.faults.openCount()).isZero();
    body.release();
  }

  @Test
  void whatCannotBeToldOfSeveralPagesIsAskedForPageByPage() throws Exception {
    fixture.faults.ask(new PageRun(0, 4));

    answers.onDemand(new PageAnswer.NotYet(1, Fixture.gpa(0), 2));
    answers.onDemand(new PageAnswer.Failed(3, Fixture.gpa(2), 2, "EIO"));

    assertThat(retries).containsExactly("1 in 5 ms", "2 in 5 ms", "3 in 500 ms", "4 in 500 ms");
    assertThat(filler.calls).isEmpty();
  }

  @Test
  void severalPagesThatComeDamagedAreAskedForAgainEachUpToThreeTimes() throws Exception {
    fixture.faults.ask(new PageRun(3, 2));

    answers.onDemand(damaged(1, 3, 2));
    fixture.faults.askAgain(2);
    answers.onDemand(damaged(1, 3, 1));

    assertThat(retries).containsExactly("1 in 5 ms", "2 in 5 ms", "1 in 5 ms");
    assertThat(fixture.heard.get(0)).startsWith("damaged 0x103000, 2 again");
    assertThatThrownBy(() -> answers.onDemand(damaged(1, 3, 1)))
        .isInstanceOf(ProtocolException.class)
        .hasMessageContaining("came damaged 3 times");
    assertThat(filler.calls).isEmpty();
  }

  @Test
  void whatTheSourceCannotTellYetStaysMissingAndIsAskedForAgain() throws Exception {
    fixture.fault(3);

    answers.onDemand(new PageAnswer.NotYet(1, Fixture.gpa(3), 1));

    assertThat(retries).containsExactly("1 in 5 ms");
    assertThat(fixture.table.get(3)).isEqualTo(State.REQUESTED);
    assertThat(filler.calls).isEmpty();
  }

  @Test
  void whatTheSourceFailsToReadIsNeitherZerosNorPoison() throws Exception {
    fixture.fault(3);

    answers.onDemand(new PageAnswer.Failed(1, Fixture.gpa(3), 1, "EIO"));

    assertThat(retries).containsExactly("1 in 500 ms");
    assertThat(fixture.heard).containsExactly("failed 0x103000 EIO");
    assertThat(fixture.table.get(3)).isEqualTo(State.REQUESTED);
    assertThat(filler.calls).isEmpty();
  }

  @Test
  void aDamagedAnswerIsAskedForAgainAndNothingOfItIsPlaced() throws Exception {
    fixture.fault(3);

    answers.onDemand(damaged(1, 3, 1));
    fixture.faults.askAgain(1);
    answers.onDemand(new PageAnswer.Zero(2, Fixture.gpa(3), 1));

    assertThat(retries).containsExactly("1 in 5 ms");
    assertThat(fixture.heard)
        .containsExactly(
            "damaged 0x103000, 1 again: checksum 0x12345678 was sent, the bytes give 0x9abcdef0");
    assertThat(fixture.requests)
        .containsExactly(
            new PageRequest(1, Fixture.gpa(3), 1), new PageRequest(2, Fixture.gpa(3), 1));
    assertThat(filler.calls).containsExactly("zero 3+1");
  }

  @Test
  void aPageThatComesDamagedThreeTimesEndsTheMigrationByItsAddressAndBothSums() throws Exception {
    fixture.fault(3);
    for (long id = 1; id < 3; id++) {
      answers.onDemand(damaged(id, 3, 1));
      fixture.faults.askAgain(id);
    }

    assertRefused(
        () -> answers.onDemand(damaged(3, 3, 1)),
        "the page at guest-physical address 0x103000 came damaged 3 times, the last time as follows: checksum 0x12345678 was sent, the bytes give 0x9abcdef0; the network, or the memory of one of the two hosts, changes what it carries");
    assertThat(filler.calls).isEmpty();
    assertThat(fixture.table.get(3)).isEqualTo(State.REQUESTED);
  }

  @Test
  void damageThatDoesNotComeThreeTimesForOnePageEndsNothing() throws Exception {
    for (long page = 0; page < 4; page++) {
      fixture.fault(page);
    }

    for (long id = 1; id <= 4; id++) {
      answers.onDemand(damaged(id, id - 1, 1));
    }

    assertThat(retries).hasSize(4);
  }

  @Test
  void streamedPagesThatComeDamagedAreAskedForUnlessSomethingElseHappenedToThem() throws Exception {
    fixture.fault(3);
    answers.inBackground(new PageAnswer.Zero(0, Fixture.gpa(4), 1));
    fixture.heard.clear();

    answers.inBackground(damaged(0, 2, 4));

    assertThat(fixture.requests)
        .containsExactly(
            new PageRequest(1, Fixture.gpa(3), 1),
            new PageRequest(2, Fixture.gpa(2), 1),
            new PageRequest(3, Fixture.gpa(5), 1));
    assertThat(fixture.heard)
        .containsExactly(
            "flush",
            "damaged 0x102000, 2 again: checksum 0x12345678 was sent, the bytes give 0x9abcdef0");
    assertThat(filler.calls).containsExactly("zero 4+1");
  }

  @Test
  void theTimeOnTheStreamCounts() throws Exception {
    answers.inBackground(damaged(0, 2, 1));
    answers.onDemand(damaged(1, 2, 1));
    fixture.faults.askAgain(1);

    assertThatThrownBy(() -> answers.onDemand(damaged(2, 2, 1)))
        .isInstanceOf(ProtocolException.class)
        .hasMessageContaining("came damaged 3 times");
  }

  @Test
  void damageToAPageThatHasComeOtherwiseIsOfNoConsequence() throws Exception {
    fixture.fault(3);
    answers.inBackground(new PageAnswer.Zero(0, Fixture.gpa(3), 1));

    for (int i = 0; i < 5; i++) {
      answers.onDemand(damaged(1, 3, 1));
    }
    fixture.faults.askAgain(1);

    assertThat(fixture.requests).hasSize(1);
    assertThat(fixture.heard).filteredOn(line -> line.contains("damaged")).hasSize(5);
  }

  @Test
  void damageOutsideTheLayoutIsRefused() {
    assertRefused(
        () -> answers.inBackground(damaged(0, 14, 3)),
        "3 pages at guest-physical address 0x10e000 are outside the guest's memory");
    assertThat(fixture.requests).isEmpty();
  }

  private static PageAnswer damaged(long requestId, long page, int pageCount) {
    return new PageAnswer.Damaged(
        requestId, Fixture.gpa(page), pageCount, 0x1234_5678, 0x9abc_def0);
  }

  @Test
  void aSourceThatDeniesItsOwnLayoutIsRefused() {
    fixture.fault(3);

    assertRefused(
        () -> answers.onDemand(new PageAnswer.OutOfRange(1, Fixture.gpa(3), 1)),
        "the source calls guest-physical address 0x103000 out of range, which its own layout contains");
    assertThat(filler.calls).isEmpty();
  }

  @Test
  void poisonAnswersARequestOnceItIsRecordedAndMarked() throws Exception {
    fixture.fault(3);
    PageAnswer answer = new PageAnswer.Poisoned(1, Fixture.gpa(3), 1, List.of(Fixture.lost(3)));

    answers.onDemand(answer);

    assertThat(filler.contents).containsEntry(3L, FakeFiller.POISON);
    assertThat(learnt).hasSize(1);
    assertThat(learnt.get(0).contains(Fixture.frame(3))).isTrue();
    assertThatThrownBy(() -> answers.onDemand(answer)).isInstanceOf(ProtocolException.class);
  }

  @Test
  void contentThatComesAfterPoisonIsDropped() throws Exception {
    fixture.fault(3);
    answers.inBackground(new PageAnswer.Poisoned(0, Fixture.gpa(3), 1, List.of(Fixture.lost(3))));

    answers.onDemand(new PageAnswer.Zero(1, Fixture.gpa(3), 1));
    answers.inBackground(new PageAnswer.Zero(0, Fixture.gpa(2), 3));

    assertThat(filler.contents).containsEntry(3L, FakeFiller.POISON);
    assertThat(filler.calls).containsExactly("poison 3+1", "zero 2+1", "zero 4+1");
    assertThat(fixture.heard).containsExactly("duplicate 1", "duplicate 1", "streamed 2");
  }

  @Test
  void poisonThatIsNotTheRangesFirstPageIsPlacedWhereItIs() throws Exception {
    answers.inBackground(new PageAnswer.Poisoned(0, Fixture.gpa(4), 4, List.of(Fixture.lost(6))));

    assertThat(fixture.table.get(6)).isEqualTo(State.POISONED);
    assertThat(fixture.table.get(4)).isEqualTo(State.MISSING);
    assertThat(fixture.table.get(7)).isEqualTo(State.MISSING);
    assertThat(filler.calls).containsExactly("poison 6+1");
  }

  @Test
  void poisonThatReachesBeyondTheGuestsMemoryIsRefused() {
    PageAnswer answer = new PageAnswer.Poisoned(0, Fixture.gpa(8), 1, List.of(Fixture.lost(0, 18)));

    assertRefused(
        () -> answers.inBackground(answer),
        "poison at guest-physical address 0x100000, 64 pages, is outside the guest's memory");
    assertThat(filler.calls).isEmpty();
  }

  @Test
  void streamedPagesOutsideTheLayoutAreRefusedWhole() {
    assertRefused(
        () -> answers.inBackground(new PageAnswer.Zero(0, Fixture.gpa(14), 3)),
        "3 pages at guest-physical address 0x10e000 are outside the guest's memory");
    assertRefused(
        () -> answers.inBackground(new PageAnswer.Zero(0, 0, 1)),
        "1 pages at guest-physical address 0x0 are outside the guest's memory");
    assertThat(filler.calls).isEmpty();
  }

  @Test
  void aStreamThatClaimsToAnswerARequestIsRefused() {
    fixture.fault(3);

    assertRefused(
        () -> answers.inBackground(new PageAnswer.Zero(1, Fixture.gpa(3), 1)),
        "an answer nobody asked for: request 1 on a stream connection");
    assertThat(filler.calls).isEmpty();
  }

  @Test
  void aStreamCarriesPagesAndPoisonOnly() {
    assertRefused(
        () -> answers.inBackground(new PageAnswer.Failed(0, Fixture.gpa(3), 1, "EIO")),
        "Failed on a stream connection, which carries pages and poison only");
    assertRefused(
        () -> answers.inBackground(new PageAnswer.NotYet(0, Fixture.gpa(3), 1)),
        "NotYet on a stream connection, which carries pages and poison only");
  }

  private static MixedPages mixed(long requestId, long page, int pageCount, int... data) {
    BitSet bits = new BitSet();
    Arrays.stream(data).forEach(bits::set);
    return new MixedPages(requestId, Fixture.gpa(page), pageCount, bits, 0x5000_0000L);
  }

  @Test
  void mixedPagesArePlacedRunByRunWhereNothingIsMoved() throws Exception {
    assertThat(fixture.table.poison(6)).isTrue();

    answers.inBackground(mixed(0, 2, 8, 1, 2, 3, 4, 7));

    assertThat(filler.calls).containsExactly("zero 2+1", "copy 3+3", "zero 7+2", "copy 9+1");
    assertThat(filler.contents)
        .containsEntry(3L, 0x5000_0000L)
        .containsEntry(5L, 0x5000_2000L)
        .containsEntry(9L, 0x5000_4000L)
        .doesNotContainKey(6L);
    assertThat(fixture.heard).containsExactly("duplicate 1", "streamed 7");
  }

  @Test
  void mixedPagesOutsideTheLayoutOrAskedForAreRefused() {
    assertRefused(
        () -> answers.inBackground(mixed(0, 14, 3, 1)),
        "3 pages at guest-physical address 0x10e000 are outside the guest's memory");
    assertRefused(
        () -> answers.inBackground(mixed(1, 3, 2, 1)),
        "an answer nobody asked for: request 1 on a stream connection");
    assertThat(filler.calls).isEmpty();
  }
}
