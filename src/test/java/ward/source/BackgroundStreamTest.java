package ward.source;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.List;
import jnr.constants.platform.Errno;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import ward.memory.Pages;
import ward.wire.Frame;
import ward.wire.MixedPages;
import ward.wire.PageAnswer;
import ward.wire.StreamEnd;

class BackgroundStreamTest {

  @TempDir Path directory;

  private Bench bench;
  private StreamCursor cursor;
  private Pace pace;
  private BackgroundStream stream;

  @BeforeEach
  void open() throws IOException {
    bench = new Bench(directory);
    cursor = new StreamCursor(SmallGuest.LAYOUT, false);
    pace = new Pace(() -> bench.turns.nowMillis() * 1_000_000, 0);
    stream = new BackgroundStream(bench.parts, cursor, pace, bench.line, bench.turns);
  }

  @AfterEach
  void close() throws IOException {
    assertThat(bench.failures).isEmpty();
    bench.close();
  }

  /** A frame in a word: kind, first page, pages. Checks and releases what data carries. */
  private static String word(Frame frame) {
    if (frame instanceof StreamEnd) {
      return "end";
    }
    PageAnswer answer = assertInstanceOf(PageAnswer.class, frame);
    long page = SmallGuest.LAYOUT.pageAt(answer.guestPhysicalAddress()).orElseThrow();
    if (answer instanceof PageAnswer.Data data) {
      for (int i = 0; i < data.pageCount(); i++) {
        assertEquals((byte) (page + i), data.body().getByte(i * Pages.SIZE_BYTES));
      }
      data.release();
    }
    return "%s %d+%d".formatted(answer.getClass().getSimpleName(), page, answer.pageCount());
  }

  private List<String> sent() {
    return new ArrayList<>(bench.sent().stream().map(BackgroundStreamTest::word).toList());
  }

  private void passTime() {
    bench.turns.passMillis(250);
  }

  @Test
  void pagesGoOutInTheLongestRunsOfDataAndOfZeros() {
    stream.pump();

    assertEquals(
        List.of("Zero 0+1", "Data 1+9", "Zero 10+10", "Data 20+80", "Data 100+30", "end"), sent());
    assertEquals(11, bench.events.zero.get());
    assertEquals(119, bench.events.data.get());
  }

  @Test
  void whatIsNearAPageThatWasAskedForGoesOutFirst() {
    cursor.faulted(110);

    stream.pump();

    assertThat(sent()).startsWith("Data 100+30", "Zero 0+1").last().isEqualTo("end");
  }

  @Test
  void theEndIsSaidOnce() {
    stream.pump();
    sent();

    stream.pump();

    assertThat(sent()).isEmpty();
  }

  @Test
  void aLimitedStreamSendsShortSlicesAtItsPace() {
    pace.limit(Pages.bytes(100)); // slices of 10 pages, one every 100 ms
    stream.pump();
    assertThat(sent()).containsExactly("Zero 0+1", "Data 1+9");

    bench.turns.passMillis(80);
    assertThat(sent()).isEmpty();
    bench.turns.passMillis(30);
    assertThat(sent()).as("zeros cost next to nothing").containsExactly("Zero 10+10", "Data 20+10");
    bench.turns.passMillis(70);
    assertThat(sent()).isEmpty();
    bench.turns.passMillis(30);

    assertThat(sent()).containsExactly("Data 30+10");
  }

  @Test
  void aLimitThatIsTakenAwayHoldsNothingUpAnyMore() {
    pace.limit(Pages.bytes(100));
    stream.pump();
    sent();

    pace.limit(0);
    passTime();

    assertThat(sent()).last().isEqualTo("end");
  }

  @Test
  void aLimitNeverHoldsWordOfALossUp() {
    pace.limit(Pages.bytes(10)); // a page every 100 ms
    bench.guest.spoil(1, Errno.EHWPOISON);
    stream.pump();
    bench.turns.takeAll();
    bench.turns.passMillis(1);
    sent();

    bench.settle();

    assertThat(sent()).containsExactly("Poisoned 1+1");
  }

  @Test
  void aPausedStreamSendsNothing() {
    cursor.pause(true);
    stream.pump();
    assertThat(sent()).isEmpty();

    cursor.pause(false);
    stream.pump();

    assertThat(sent()).hasSize(6);
  }

  @Test
  void pagesThatWereSentOrLostAreSkipped() throws Exception {
    bench.served.claim(30);
    bench.lost.record(List.of(SmallGuest.entry(40), SmallGuest.entry(41)));

    stream.pump();

    assertThat(sent()).contains("Data 20+10", "Data 31+9", "Data 42+58").last().isEqualTo("end");
  }

  @Test
  void aPageThatTurnsOutToBeLostIsSaidWhenTheLossIsOnDiskAndBeforeTheEnd() {
    bench.guest.spoil(70, Errno.EHWPOISON);

    stream.pump();
    assertThat(sent()).contains("Data 20+50", "Data 71+29").doesNotContain("end");
    bench.settle();

    assertEquals(List.of("Poisoned 70+1", "end"), sent());
    assertThat(bench.guest.journal.ledger().frames()).isEqualTo(SmallGuest.frames(70));
  }

  @Test
  void lostPagesNextToEachOtherAreAllSaid() {
    bench.guest.spoil(70, Errno.EHWPOISON);
    bench.guest.spoil(71, Errno.EHWPOISON);
    bench.guest.spoil(99, Errno.EHWPOISON);

    stream.pump();
    assertThat(sent()).contains("Data 20+50", "Data 72+27");
    bench.settle();

    assertEquals(List.of("Poisoned 70+1", "Poisoned 71+1", "Poisoned 99+1", "end"), sent());
  }

  @Test
  void whileManyLossesWaitForTheDiskTheStreamWaitsWithThem() {
    for (int page = 20; page < 20 + BackgroundStream.RECORDING_MAX; page++) {
      bench.guest.spoil(page, Errno.EHWPOISON);
    }

    stream.pump();
    List<String> before = sent();
    bench.settle();

    assertThat(before).contains("Zero 10+10").doesNotContain("Data 100+30");
    assertThat(sent()).contains("Poisoned 20+1", "Data 100+30").endsWith("end");
  }

  @Test
  void aPageThatCannotBeReadForAnotherReasonIsTriedAgainAndNeverCalledLost() {
    bench.guest.spoil(70, Errno.EAGAIN);
    stream.pump();
    assertThat(sent()).contains("Data 20+50", "Data 71+29").doesNotContain("end");

    passTime();
    assertThat(sent()).isEmpty();
    bench.guest.mend(70);
    passTime();

    assertEquals(List.of("Data 70+1", "end"), sent());
    assertEquals(0, bench.guest.journal.ledger().pageCount());
  }

  @Test
  void oneTimerRetriesHoweverOftenTheSocketHasRoom() {
    bench.guest.spoil(70, Errno.EAGAIN);
    for (int i = 0; i < 10; i++) {
      stream.pump();
    }
    sent();
    bench.events.unreadable.clear();

    passTime();

    assertThat(bench.events.unreadable).hasSize(1);
  }

  @Test
  void aPageThatWasAskedForWhileItCouldNotBeReadIsNotSentAgain() {
    bench.guest.spoil(70, Errno.EAGAIN);
    stream.pump();
    sent();

    bench.guest.mend(70);
    bench.served.claim(70);
    passTime();

    assertEquals(List.of("end"), sent());
  }

  @Test
  void aLossIsSaidBetweenTwoSlices() {
    bench.guest.spoil(70, Errno.EHWPOISON);
    stream.pump();
    bench.turns.takeOne();

    bench.turn();
    bench.turns.takeOne();
    bench.turns.takeOne();

    assertThat(bench.line.takeSent().stream().map(BackgroundStreamTest::word))
        .endsWith("Data 71+29", "Data 100+30", "Poisoned 70+1");
    assertThat(sent()).containsExactly("end");
  }

  @Test
  void aStreamWhoseConnectionIsOverReadsNoMore() {
    bench.line.cut = true;
    stream.pump();
    bench.turns.takeAll();

    bench.line.cut = false;
    stream.pump();

    assertThat(sent()).isEmpty();
    assertThat(bench.served.isUnsent(100)).isTrue();
  }

  /** First page, pages, and which of them have bytes, after a look at those. */
  private static List<String> words(List<FakeLine.Mixed> all) {
    return all.stream().map(BackgroundStreamTest::word).toList();
  }

  private static String word(FakeLine.Mixed pages) {
    long first = SmallGuest.LAYOUT.pageAt(pages.guestPhysicalAddress()).orElseThrow();
    byte[] body = pages.body();
    BitSet data = BitSet.valueOf(Arrays.copyOf(body, MixedPages.BITS_BYTES));
    int at = MixedPages.BITS_BYTES;
    for (int page = data.nextSetBit(0); page >= 0; page = data.nextSetBit(page + 1)) {
      byte[] expected = new byte[Pages.SIZE_BYTES];
      Arrays.fill(expected, (byte) (first + page));
      assertThat(Arrays.copyOfRange(body, at, at + Pages.SIZE_BYTES)).isEqualTo(expected);
      at += Pages.SIZE_BYTES;
    }
    assertThat(body).hasSize(at);
    return "%d+%d %s".formatted(first, pages.pageCount(), data);
  }

  private static String from(int first, int end) {
    return java.util.stream.IntStream.range(first, end)
        .mapToObj(Integer::toString)
        .collect(java.util.stream.Collectors.joining(", "));
  }

  @Test
  void dataAndZerosOfASliceGoOutAsOneFrameToWhoeverReadsIt() {
    bench.line.takesMixed = true;

    stream.pump();

    assertThat(sent()).containsExactly("Data 100+30", "end");
    assertThat(words(bench.line.mixed))
        .containsExactly("0+100 {%s, %s}".formatted(from(1, 10), from(20, 100)));
    assertEquals(11, bench.events.zero.get());
    assertEquals(119, bench.events.data.get());
  }

  @Test
  void aPageThatCannotBeReadEndsTheFrameBeforeItAndTheNextBeginsBehindIt() {
    bench.line.takesMixed = true;
    bench.guest.spoil(5, Errno.EHWPOISON);

    stream.pump();
    List<String> frames = sent();
    bench.settle();

    assertThat(words(bench.line.mixed))
        .containsExactly("0+5 {1, 2, 3, 4}", "6+94 {%s, %s}".formatted(from(0, 4), from(14, 94)));
    assertThat(frames).containsExactly("Data 100+30");
    assertThat(sent()).containsExactly("Poisoned 5+1", "end");
  }

  @Test
  void mixedPagesCostTheirDataOfALimit() {
    bench.line.takesMixed = true;
    pace.limit(Pages.bytes(100)); // slices of 10 pages, one every 100 ms
    stream.pump();
    sent();

    bench.turns.passMillis(80);
    sent();
    int early = bench.line.mixed.size();
    bench.turns.passMillis(30);
    sent();

    assertThat(early).isEqualTo(1);
    assertThat(words(bench.line.mixed)).containsExactly("0+10 {%s}".formatted(from(1, 10)));
    assertThat(bench.events.data.get()).as("with the next").isEqualTo(19);
  }

  @Test
  void aStreamWhoseConnectionEndsInAMixedFrameReadsNoMore() {
    bench.line.takesMixed = true;
    bench.line.cut = true;
    stream.pump();
    bench.turns.takeAll();

    assertThat(bench.line.mixed).hasSize(1);
    assertThat(bench.served.isUnsent(100)).isTrue();
  }
}
