package ward.source;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import jnr.constants.platform.Errno;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import ward.memory.Pages;
import ward.wire.Frame;
import ward.wire.PageAnswer;

class PageAnswererTest {

  @TempDir Path directory;

  private Bench bench;
  private PageAnswerer answerer;

  @BeforeEach
  void open() throws IOException {
    bench = new Bench(directory);
    answerer = new PageAnswerer(bench.parts, page -> {});
  }

  @AfterEach
  void close() throws IOException {
    assertThat(bench.failures).isEmpty();
    bench.close();
  }

  private static long at(long page) {
    return SmallGuest.LAYOUT.addressOf(page);
  }

  private List<Frame> ask(long address, int count) {
    answerer.answer(77, address, count, bench.answers, bench::writeLater);
    return bench.answered();
  }

  @Test
  void aPageWithContentIsAnsweredWithIt() {
    PageAnswer.Data answer = (PageAnswer.Data) ask(at(102), 1).get(0);

    assertEquals(77, answer.requestId());
    assertEquals(at(102), answer.guestPhysicalAddress());
    assertEquals(102, answer.body().getByte(Pages.SIZE_BYTES - 1));
    answer.release();
    assertFalse(bench.served.isUnsent(102));
  }

  @Test
  void aPageOfZerosTravelsWithoutBytes() {
    assertEquals(List.of(new PageAnswer.Zero(77, at(12), 1)), ask(at(12), 1));
  }

  @Test
  void everyPageOfARequestIsAnsweredUnderANumberOfItsOwn() {
    List<Frame> answers = ask(at(9), 2);

    assertInstanceOf(PageAnswer.Data.class, answers.get(0));
    ((PageAnswer.Data) answers.get(0)).release();
    assertEquals(new PageAnswer.Zero(78, at(10), 1), answers.get(1));
    assertEquals(2, bench.events.answered.get());
  }

  /** What came, by page; asserts that each is what the guest has, under its own number. */
  private void assertAnswers(long first, List<Frame> frames, int pages) {
    long next = first;
    for (Frame frame : frames) {
      PageAnswer answer = (PageAnswer) frame;
      assertEquals(77 + next - first, answer.requestId());
      assertEquals(at(next), answer.guestPhysicalAddress());
      for (int i = 0; i < answer.pageCount(); i++) {
        byte sent =
            answer instanceof PageAnswer.Data data
                ? data.body().getByte((i + 1) * Pages.SIZE_BYTES - 1)
                : 0;
        assertEquals(contentOf(next + i), sent, "page " + (next + i));
        assertFalse(bench.served.isUnsent(next + i));
      }
      next += answer.pageCount();
      if (answer instanceof PageAnswer.Data data) {
        data.release();
      }
    }
    assertEquals(first + pages, next);
  }

  private static byte contentOf(long page) {
    return SmallGuest.isZero((int) page) ? 0 : (byte) page;
  }

  @Test
  void pagesNextToEachOtherShareAFrameAsFarAsTheyAreAlike() {
    List<Frame> frames = ask(at(0), 64);

    assertThat(frames).hasSizeLessThan(40);
    assertAnswers(0, frames, 64);
    assertEquals(64, bench.events.answered.get());
  }

  @Test
  void oneThatTurnsOutToBeLostAmongManyIsAnsweredLaterUnderItsOwnNumber() throws Exception {
    bench.guest.spoil(5, Errno.EHWPOISON);
    bench.lost.record(List.of(SmallGuest.entry(7)));

    List<Frame> now = ask(at(4), 5);
    bench.settle();
    List<Frame> later = bench.answered();

    assertThat(now)
        .extracting(frame -> ((PageAnswer) frame).requestId())
        .containsExactly(77L, 79L, 81L);
    now.forEach(frame -> ((PageAnswer.Data) frame).release());
    assertThat(later).hasSize(2).allMatch(frame -> frame instanceof PageAnswer.Poisoned);
    assertThat(later)
        .extracting(frame -> ((PageAnswer) frame).requestId())
        .containsExactlyInAnyOrder(78L, 80L);
  }

  @Test
  void whatIsNotRamIsOutOfRange() {
    assertEquals(List.of(new PageAnswer.OutOfRange(77, 1L << 31, 1)), ask(1L << 31, 1));
    assertEquals(List.of(new PageAnswer.OutOfRange(77, at(99), 2)), ask(at(99), 2));
  }

  @Test
  void aPageThatTurnsOutToBeLostIsAnsweredWhenTheLossIsOnDisk() {
    bench.guest.spoil(5, Errno.EHWPOISON);

    assertThat(ask(at(5), 1)).isEmpty();
    bench.settle();

    PageAnswer.Poisoned answer = (PageAnswer.Poisoned) bench.answered().get(0);
    assertEquals(77, answer.requestId());
    assertEquals(at(5), answer.entries().get(0).guestPhysicalAddress());
    assertThat(bench.guest.journal.ledger().contains(at(5))).isTrue();
  }

  @Test
  void aLostPageIsNeverReadAgain() throws Exception {
    bench.lost.record(List.of(SmallGuest.entry(6)));

    assertThat(ask(at(6), 1)).isEmpty();
    bench.settle();

    PageAnswer.Poisoned answer = (PageAnswer.Poisoned) bench.answered().get(0);
    assertEquals(List.of(SmallGuest.entry(6)), answer.entries());
  }

  @Test
  void aPageThatCannotBeReadForAnotherReasonIsNotCalledLost() {
    bench.guest.spoil(8, Errno.EIO);

    PageAnswer.Failed answer = (PageAnswer.Failed) ask(at(8), 1).get(0);

    assertThat(answer.reason()).contains("EIO");
    assertEquals(List.of(at(8)), bench.events.unreadable);
    assertEquals(0, bench.guest.journal.ledger().pageCount());
  }
}
