package ward.uffd;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;
import static ward.uffd.SecondMappings.watched;

import java.util.List;
import jnr.constants.platform.Errno;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import ward.memory.Pages;
import ward.uffd.FillResult.Outcome;

class SharedWatcherTest {

  private static final int PAGE = Pages.SIZE_BYTES;
  private static final long SOURCE = 0x1000;

  private final FakeKernel kernel = new FakeKernel();
  private Userfaultfd uffd;
  private Watcher watcher;

  @BeforeEach
  void open() throws Exception {
    uffd = Userfaultfd.open(kernel);
    watcher = uffd.ofSharedMemory(new SecondMappings(16));
    kernel.calls.clear();
  }

  private String ioctl(String name) {
    return name + " " + uffd;
  }

  private void thenFileHasThePage() {
    kernel.thenFill(Errno.EEXIST, -Errno.EEXIST.intValue());
  }

  @Test
  void bytesComeByOneCallWhereTheFileHasNone() {
    kernel.thenFill(2 * PAGE);

    FillResult result = watcher.copy(watched(3), SOURCE, 2 * PAGE);

    assertThat(result).isEqualTo(new FillResult(Outcome.COMPLETED, 2 * PAGE, 0));
    assertThat(kernel.calls).containsExactly(ioctl("UFFDIO_COPY"));
  }

  @Test
  void aPageThatTheFileHasIsWrittenThereBeforeItIsMapped() {
    thenFileHasThePage();
    kernel.thenFill(PAGE);

    FillResult result = watcher.copy(watched(3), SOURCE, 2 * PAGE);

    assertThat(result.outcome()).isEqualTo(Outcome.INTERRUPTED);
    assertThat(result.doneBytes()).isEqualTo(PAGE);
    assertThat(kernel.calls)
        .containsExactly(
            ioctl("UFFDIO_COPY"), "copy 0x80003000 0x1000 4096", ioctl("UFFDIO_CONTINUE"));
  }

  @Test
  void aPageThatWasMappedOnceIsNeverWrittenAgain() {
    kernel.thenFill(PAGE);
    watcher.copy(watched(3), SOURCE, PAGE);
    thenFileHasThePage();
    thenFileHasThePage();

    FillResult copied = watcher.copy(watched(3), SOURCE, PAGE);
    FillResult zeroed = watcher.zero(watched(3), PAGE);

    assertThat(copied.outcome()).isEqualTo(Outcome.ALREADY_RESOLVED);
    assertThat(zeroed.outcome()).isEqualTo(Outcome.ALREADY_RESOLVED);
    assertThat(kernel.calls).noneMatch(call -> call.startsWith("copy"));
  }

  @Test
  void pagesBeforeOneThatTheFileHasAreNotWrittenAgainEither() {
    kernel.thenFill(Errno.EAGAIN, 2 * PAGE);
    FillResult first = watcher.copy(watched(3), SOURCE, 4 * PAGE);
    thenFileHasThePage();

    FillResult again = watcher.copy(watched(4), SOURCE, PAGE);

    assertThat(first.doneBytes()).isEqualTo(2 * PAGE);
    assertThat(again.outcome()).isEqualTo(Outcome.ALREADY_RESOLVED);
  }

  @Test
  void nothingIsMappedOfWhatCannotBeWritten() {
    thenFileHasThePage();
    kernel.copyAnswer = (long) -Errno.EFAULT.intValue();

    FillResult result = watcher.copy(watched(3), SOURCE, PAGE);

    assertThat(result.outcome()).isEqualTo(Outcome.OUT_OF_MEMORY);
    assertThat(kernel.calls).doesNotContain(ioctl("UFFDIO_CONTINUE"));
  }

  @Test
  void nothingIsMappedOfWhatWasWrittenInPart() {
    thenFileHasThePage();
    kernel.copyAnswer = (long) PAGE / 2;

    FillResult result = watcher.copy(watched(3), SOURCE, PAGE);

    assertThat(result.outcome()).isEqualTo(Outcome.OUT_OF_MEMORY);
    assertThat(kernel.calls).doesNotContain(ioctl("UFFDIO_CONTINUE"));
  }

  @Test
  void onlyWhatWasMappedOnceIsMappedAgain() {
    watcher.revive(watched(3), PAGE);
    List<String> before = List.copyOf(kernel.calls);
    kernel.thenFill(PAGE);
    watcher.copy(watched(3), SOURCE, PAGE);
    kernel.calls.clear();
    kernel.thenFill(PAGE);

    watcher.revive(watched(3), PAGE);

    assertThat(before).containsExactly(ioctl("UFFDIO_WAKE"));
    assertThat(kernel.calls).containsExactly(ioctl("UFFDIO_CONTINUE"));
  }

  @Test
  void whoeverWaitsForAPageThatIsMappedIsWoken() {
    kernel.thenFill(PAGE);
    watcher.copy(watched(3), SOURCE, PAGE);
    kernel.calls.clear();
    kernel.thenFill(Errno.EEXIST, -Errno.EEXIST.intValue());

    watcher.revive(watched(3), PAGE);

    assertThat(kernel.calls).containsExactly(ioctl("UFFDIO_CONTINUE"), ioctl("UFFDIO_WAKE"));
  }

  @Test
  void zerosAreWrittenWhereTheFileHoldsThePageAlready() {
    kernel.thenFill(Errno.EEXIST, -Errno.EEXIST.intValue());
    kernel.thenFill(PAGE);

    FillResult result = watcher.zero(watched(3), 4 * PAGE);

    assertThat(result.outcome()).isEqualTo(Outcome.INTERRUPTED);
    assertThat(result.doneBytes()).isEqualTo(PAGE);
    assertThat(kernel.calls.get(0)).isEqualTo(ioctl("UFFDIO_ZEROPAGE"));
    assertThat(kernel.calls.get(1)).startsWith("copy 0x80003000 ").endsWith(" 4096");
    assertThat(kernel.calls.get(2)).isEqualTo(ioctl("UFFDIO_CONTINUE"));
  }

  @Test
  void theFileHasAHoleBeforeThereIsAMarker() {
    kernel.thenFill(PAGE);

    FillResult result = watcher.poison(watched(3), PAGE);

    assertThat(result.outcome()).isEqualTo(Outcome.COMPLETED);
    assertThat(kernel.calls).containsExactly("madvise 0x80003000 4096 9", ioctl("UFFDIO_POISON"));
  }

  @Test
  void thereIsNoMarkerWhereTheFileKeepsThePage() {
    kernel.populateReadAnswer = -Errno.EINVAL.intValue(); // of any madvise

    FillResult result = watcher.poison(watched(3), PAGE);

    assertThat(result).isEqualTo(new FillResult(Outcome.REFUSED, 0, Errno.EINVAL.intValue()));
    assertThat(kernel.calls).noneMatch(call -> call.startsWith("UFFDIO"));
  }

  @Test
  void memoryThatCannotBeContinuedIsNotWatched() {
    kernel.rangeIoctls = 0x13c; // as if minor faults had not been asked for

    UserfaultfdException e =
        catchThrowableOfType(
            UserfaultfdException.class, () -> watcher.register(watched(0), 16 * PAGE));

    assertThat(e).hasMessageContaining("does not take UFFDIO_CONTINUE (ioctls 0x13c)");
  }
}
