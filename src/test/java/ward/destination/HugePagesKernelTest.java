package ward.destination;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import jnr.constants.platform.Errno;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import ward.guest.MemoryKind;
import ward.memory.PageRun;
import ward.memory.PageSet;
import ward.testing.HugePages;
import ward.testing.RequiresUserfaultfd;
import ward.uffd.MarkerScan;
import ward.wire.PageRequest;

/** Pages of 4 KiB that arrive in huge pages of 2 MiB, by this machine's kernel. */
@RequiresUserfaultfd
@Timeout(180)
class HugePagesKernelTest {

  private static final int HUGE = 512;
  private static final int PAGES = 2 * HUGE;
  private static final int ROUNDS = 40;
  private static final int SIGBUS = -Errno.EFAULT.intValue();

  private HugePages reserved;
  private TouchedMemory memory;

  @BeforeEach
  void open() throws Exception {
    reserved = HugePages.reserve(8);
    memory = touched();
  }

  private static TouchedMemory touched() throws Exception {
    TouchedMemory made = new TouchedMemory(PAGES, MemoryKind.HUGETLB);
    made.loop.start();
    return made;
  }

  @AfterEach
  void close() throws Exception {
    if (memory != null) {
      memory.close();
    }
    reserved.close();
  }

  private void assertHolds(long from, long to) {
    for (long page = from; page < to; page++) {
      assertThat(memory.holdsItsBytes(page)).as("page %d", page).isTrue();
    }
  }

  @Test
  void aTouchAsksForEveryPageOfItsHugePageByOneFrame() throws Exception {
    CompletableFuture<Integer> touch = memory.touch(700);

    TouchedMemory.awaitThat(() -> !memory.fixture.requests.isEmpty(), "a request");
    memory.data(HUGE, HUGE);

    assertThat(TouchedMemory.await(touch)).isZero();
    assertThat(memory.fixture.requests)
        .containsExactly(new PageRequest(1, Fixture.gpa(HUGE), HUGE));
    assertHolds(HUGE, PAGES);
  }

  @Test
  void nothingIsSeenOfAHugePageBeforeItsLastPageHasCome() throws Exception {
    memory.data(0, HUGE - 1);
    CompletableFuture<Integer> touch = memory.touch(3);
    TouchedMemory.awaitThat(() -> memory.fixture.requests.size() == 1, "a request");
    boolean waits = !touch.isDone();
    MarkerScan.Real before = memory.real(0);

    memory.fixture.resolver.page(HUGE - 1, memory.sourceOf(HUGE - 1));

    assertThat(waits).isTrue();
    assertThat(before).isEqualTo(MarkerScan.Real.EMPTY);
    assertThat(TouchedMemory.await(touch)).isZero();
    assertHolds(0, HUGE);
  }

  @Test
  void zerosAndDataShareAHugePage() throws Exception {
    memory.fixture.resolver.zero(new PageRun(0, 100));
    memory.data(100, HUGE - 100);
    memory.fixture.resolver.zero(new PageRun(HUGE, HUGE));

    assertThat(memory.holdsZeros(0)).isTrue();
    assertThat(memory.holdsZeros(99)).isTrue();
    assertHolds(100, HUGE);
    assertThat(memory.holdsZeros(HUGE)).isTrue();
    assertThat(memory.holdsZeros(PAGES - 1)).isTrue();
    assertThat(memory.audit.run().agrees()).isTrue();
  }

  @Test
  void aHugePageThatIsLostAsAWholeIsMarkedAndTheAuditSeesIt() throws Exception {
    CompletableFuture<Integer> touch = memory.touch(5);
    TouchedMemory.awaitThat(() -> !memory.fixture.requests.isEmpty(), "requests");

    poison(0, HUGE);
    memory.data(HUGE, HUGE);
    Audit.Finding finding = memory.audit.run();

    assertThat(TouchedMemory.await(touch)).isEqualTo(SIGBUS);
    assertThat(memory.isPoisoned(0)).isTrue();
    assertThat(memory.isPoisoned(HUGE - 1)).isTrue();
    assertThat(finding.agrees()).isTrue();
    assertThat(finding.markers()).isEqualTo(HUGE);
  }

  private void poison(long first, long count) throws ResolveException {
    for (long page = first; page < first + count; page++) {
      assertThat(memory.fixture.table.poison(page) || memory.fixture.resolver.withdraw(page))
          .isTrue();
    }
    memory.fixture.resolver.poison(new PageRun(first, count));
  }

  @Test
  void oneThatIsLostInPartIsNeitherSeenNorMarkedUntilAllOfItIsLost() throws Exception {
    memory.data(0, 200);
    memory.fixture.resolver.zero(new PageRun(200, 100));
    poison(300, 1);
    memory.data(301, HUGE - 301);
    CompletableFuture<Integer> touch = memory.touch(7);
    TouchedMemory.awaitThat(() -> memory.fixture.faultsRead.get() > 0, "the fault");
    PageSet torn = memory.watcher.torn();
    boolean waits = !touch.isDone();

    poison(0, 300);
    poison(301, HUGE - 301);

    assertThat(torn.size()).isEqualTo(HUGE);
    assertThat(waits).isTrue();
    assertThat(TouchedMemory.await(touch)).isEqualTo(SIGBUS);
    assertThat(memory.watcher.torn().isEmpty()).isTrue();
    assertThat(memory.fixture.resolver.counts().poisoned()).isEqualTo(HUGE);
    assertThat(memory.fixture.resolver.counts().resolved()).isEqualTo(HUGE);
    assertThat(memory.fixture.resolver.unresolved()).isEqualTo(HUGE);
  }

  @Test
  void whatIsWithdrawnIsUnresolvedUntilItIsMarked() throws Exception {
    memory.data(HUGE, HUGE);
    poison(0, 1);
    memory.data(1, HUGE - 1);
    long before = memory.fixture.resolver.unresolved();
    for (long page = 1; page < HUGE; page++) {
      assertThat(memory.fixture.resolver.withdraw(page)).isTrue();
    }
    long withdrawn = memory.fixture.resolver.unresolved();

    memory.fixture.resolver.poison(new PageRun(1, HUGE - 1));

    assertThat(before).isZero();
    assertThat(withdrawn).isEqualTo(HUGE - 1);
    assertThat(memory.fixture.resolver.unresolved()).isZero();
    assertThat(memory.fixture.allResolved).hasValue(2);
    assertThat(memory.isPoisoned(HUGE - 1)).isTrue();
  }

  @Test
  void aHugePageThatTheGuestHasStaysWhatItIs() throws Exception {
    memory.data(0, HUGE);

    assertThat(memory.fixture.table.poison(9)).isFalse();
    assertThat(memory.fixture.resolver.withdraw(9)).isFalse();

    assertHolds(0, HUGE);
  }

  @Test
  void latePoisonThatRacesTheLastPagesIsNeitherLostNorHealed() throws Exception {
    Random random = new Random(5);
    int lost = 0;
    for (int round = 0; round < ROUNDS; round++) {
      try (TouchedMemory raced = touched()) {
        List<Integer> late = List.of(random.nextInt(HUGE));
        LateMoveKernelTest.poisonWhile(raced, late, () -> raced.data(0, HUGE));

        lost += assertTornOrWhole(raced, late.get(0));
      }
    }
    assertThat(lost).as("huge pages that were lost in part").isPositive();
  }

  private static int assertTornOrWhole(TouchedMemory raced, int late) throws Exception {
    if (raced.fixture.table.get(late) == PageTable.State.POISONED) {
      assertThat(raced.watcher.torn().size()).isEqualTo(HUGE);
      assertThat(raced.real(0)).isEqualTo(MarkerScan.Real.EMPTY);
      return 1;
    }
    for (int page = 0; page < HUGE; page++) {
      assertThat(raced.holdsItsBytes(page)).as("page %d", page).isTrue();
    }
    return 0;
  }

  @Test
  void aHugePageThatWasRemovedReadsZerosAfterwards() throws Exception {
    memory.data(0, PAGES);

    assertThat(TouchedMemory.await(memory.remove(0, HUGE))).isZero();

    assertThat(TouchedMemory.await(memory.touch(7))).isZero();
    assertThat(memory.holdsZeros(7)).isTrue();
    assertHolds(HUGE, PAGES);
  }

  @Test
  void aHugePageWhoseMappingWasGivenBackHoldsWhatItHeld() throws Exception {
    memory.data(0, PAGES);

    assertThat(TouchedMemory.await(memory.discard(0, HUGE))).isZero();

    assertThat(TouchedMemory.await(memory.touch(7))).isZero();
    assertHolds(0, PAGES);
  }

  @Test
  void oneThatIsGivenBackBeforeItCameReadsZeros() throws Exception {
    memory.data(0, 100);

    assertThat(TouchedMemory.await(memory.remove(0, HUGE))).isZero();
    memory.data(0, HUGE); // comes too late

    assertThat(TouchedMemory.await(memory.touch(200))).isZero();
    assertThat(memory.holdsZeros(200)).isTrue();
    assertThat(memory.holdsZeros(7)).isTrue();
  }

  @Test
  void aLostHugePageThatIsGivenBackStaysLost() throws Exception {
    poison(0, HUGE);

    assertThat(TouchedMemory.await(memory.discard(0, HUGE))).isZero();

    assertThat(TouchedMemory.await(memory.touch(9))).isEqualTo(SIGBUS);
    assertThat(memory.isPoisoned(9)).isTrue();
  }
}
