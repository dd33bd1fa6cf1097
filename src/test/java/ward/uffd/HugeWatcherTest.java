package ward.uffd;

import static org.assertj.core.api.Assertions.assertThat;
import static ward.uffd.SecondMappings.watched;

import java.util.List;
import jnr.constants.platform.Errno;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import ward.memory.Pages;
import ward.uffd.FillResult.Outcome;
import ward.uffd.PageFiller.Unseen;

class HugeWatcherTest {

  private static final int HUGE = 512;
  private static final long SOURCE = 0x1000;
  private static final Errno EAGAIN = Errno.EAGAIN;

  private final FakeKernel kernel = new FakeKernel();
  private Userfaultfd uffd;
  private Watcher watcher;

  @BeforeEach
  void open() throws Exception {
    uffd = Userfaultfd.open(kernel);
    watcher = uffd.ofHugePages(new SecondMappings(2 * HUGE));
    kernel.calls.clear();
  }

  private List<String> ioctls() {
    return kernel.calls.stream().filter(call -> call.startsWith("UFFDIO")).toList();
  }

  private String ioctl(String name) {
    return name + " " + uffd;
  }

  private FillResult copy(long page, long count) {
    return watcher.copy(watched(page), SOURCE, Pages.bytes(count));
  }

  @Test
  void aHugePageIsMappedWhenTheLastOfItsPagesHasCome() {
    kernel.thenFill(Pages.bytes(HUGE));

    copy(HUGE, 200);
    watcher.zero(watched(HUGE + 200), Pages.bytes(100));
    List<String> before = ioctls();
    FillResult last = copy(HUGE + 300, HUGE - 300);

    assertThat(before).isEmpty();
    assertThat(last.outcome()).isEqualTo(Outcome.COMPLETED);
    assertThat(ioctls()).containsExactly(ioctl("UFFDIO_CONTINUE"));
  }

  @Test
  void whatHasBeenWrittenIsNotWrittenAgainWhenTheKernelWasNotReady() {
    kernel.thenFill(EAGAIN, -EAGAIN.intValue());
    kernel.thenFill(Pages.bytes(HUGE));

    FillResult first = copy(0, HUGE);
    FillResult second = copy(0, HUGE);

    assertThat(first.outcome()).isEqualTo(Outcome.INTERRUPTED);
    assertThat(second.outcome()).isEqualTo(Outcome.COMPLETED);
    assertThat(kernel.calls)
        .containsExactly(
            "copy 0x80000000 0x1000 2097152", ioctl("UFFDIO_CONTINUE"), ioctl("UFFDIO_CONTINUE"));
  }

  @Test
  void oneOfWhichNothingWasWrittenIsMadeOfZeros() {
    kernel.thenFill(Errno.EFAULT, -Errno.EFAULT.intValue());
    kernel.thenFill(Pages.bytes(HUGE));

    FillResult result = watcher.zero(watched(0), Pages.bytes(HUGE));

    assertThat(result.outcome()).isEqualTo(Outcome.COMPLETED);
    assertThat(kernel.calls.get(1)).startsWith("copy 0x80000000 ").endsWith(" 4096");
    assertThat(ioctls()).hasSize(2);
  }

  @Test
  void nobodyIsWokenForAHugePageThatIsNotWhole() {
    copy(0, HUGE - 1);
    kernel.calls.clear();

    watcher.revive(watched(0), Pages.SIZE_BYTES);

    assertThat(kernel.calls).isEmpty();
  }

  @Test
  void theKernelIsAskedForAMarkerWhenAllOfAHugePageIsLost() {
    kernel.thenFill(Pages.bytes(HUGE));

    watcher.poison(watched(0), Pages.bytes(HUGE - 1));
    List<String> before = ioctls();
    long torn = watcher.torn().size();
    FillResult last = watcher.poison(watched(HUGE - 1), Pages.SIZE_BYTES);

    assertThat(before).isEmpty();
    assertThat(torn).isEqualTo(HUGE);
    assertThat(last.outcome()).isEqualTo(Outcome.COMPLETED);
    assertThat(ioctls()).containsExactly(ioctl("UFFDIO_POISON"));
    assertThat(watcher.torn().isEmpty()).isTrue();
  }

  @Test
  void contentIsWithdrawnOnlyWhereAnotherPartIsLost() {
    copy(0, 2);
    watcher.zero(watched(2), Pages.SIZE_BYTES);
    Unseen before = watcher.withdraw(watched(0));
    watcher.poison(watched(9), Pages.SIZE_BYTES);

    Unseen data = watcher.withdraw(watched(0));
    Unseen again = watcher.withdraw(watched(0));
    Unseen zeros = watcher.withdraw(watched(2));

    assertThat(before).isEqualTo(Unseen.NONE);
    assertThat(data).isEqualTo(Unseen.DATA);
    assertThat(again).isEqualTo(Unseen.NONE);
    assertThat(zeros).isEqualTo(Unseen.ZEROS);
  }

  @Test
  void whatWasWithdrawnNeitherComesNorIsCountedTwice() {
    copy(0, 2);
    watcher.poison(watched(9), Pages.SIZE_BYTES);
    watcher.withdraw(watched(0));
    copy(0, 1);
    kernel.thenFill(Pages.bytes(HUGE));
    watcher.withdraw(watched(1));

    watcher.poison(watched(0), Pages.bytes(HUGE));

    assertThat(ioctls()).containsExactly(ioctl("UFFDIO_POISON"));
  }
}
