package ward.destination;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assumptions.assumeThat;

import java.io.IOException;
import java.util.BitSet;
import java.util.List;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CyclicBarrier;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import ward.kernel.NativeKernel;
import ward.kernel.NativeMemory;
import ward.kernel.StagingMemory;
import ward.memory.PageRun;
import ward.testing.RequiresUserfaultfd;
import ward.uffd.MarkerScan;

/** Whole huge pages of the background stream, and what else happens to the same pages. */
@RequiresUserfaultfd
@Timeout(180)
class LateMoveKernelTest {

  private static final int PAGES = 512;
  private static final PageRun ALL = new PageRun(0, PAGES);
  private static final int ROUNDS = 40;

  private StagingMemory staging;
  private long staged;

  @BeforeEach
  void map() throws Exception {
    staging = StagingMemory.map(NativeKernel.load());
    staged = NativeMemory.of(staging.bytes()).address() + StagingMemory.LEAD_BYTES;
  }

  @AfterEach
  void unmap() {
    staging.close();
  }

  /** Memory of one huge page, which the kernel aligns as one from Linux 6.7 on. */
  private static TouchedMemory oneHugePage() throws Exception {
    TouchedMemory memory = new TouchedMemory(PAGES);
    assumeThat(memory.base % StagingMemory.BODY_BYTES).as("misalignment").isZero();
    return memory;
  }

  @Test
  void aWholeHugePageIsPlacedAndWakesWhoeverWaitsForOneOfItsPages() throws Exception {
    try (TouchedMemory memory = oneHugePage()) {
      CompletableFuture<Integer> touch = memory.touch(300);

      long placed = memory.staged(ALL, staged);

      assertThat(placed).isEqualTo(PAGES);
      assertThat(TouchedMemory.await(touch)).isZero();
      assertThat(memory.fixture.resolver.counts().data()).isEqualTo(PAGES);
      assertThat(memory.fixture.resolver.unresolved()).isZero();
      for (int page = 0; page < PAGES; page++) {
        assertThat(memory.holdsItsBytes(page)).as("page %d", page).isTrue();
      }
    }
  }

  @Test
  void pagesThatHaveAnotherWriterAreLeftOut() throws Exception {
    try (TouchedMemory memory = oneHugePage()) {
      memory.poison(17);
      memory.fixture.table.claim(400); // by whoever asked for it, whose answer is on its way

      long placed = memory.staged(ALL, staged);
      memory.fixture.resolver.wake(400);

      assertThat(placed).isEqualTo(PAGES - 2);
      assertThat(memory.isPoisoned(17)).isTrue();
      assertThat(memory.kernel.advise(memory.base, 4096, ward.kernel.Linux.MADV_POPULATE_READ))
          .isZero();
      assertThat(memory.fixture.resolver.unresolved()).isEqualTo(1);
    }
  }

  @Test
  void latePoisonThatRacesAHugePageIsNeitherLostNorHealed() throws Exception {
    Random random = new Random(5);
    int poisonedFirst = 0;
    for (int round = 0; round < ROUNDS; round++) {
      try (TouchedMemory memory = oneHugePage()) {
        List<Integer> late = random.ints(4, 0, PAGES).distinct().boxed().toList();
        poisonWhile(memory, late, () -> memory.staged(ALL, staged));

        poisonedFirst += assertPoisonOrBytes(memory);
      }
    }
    assertThat(poisonedFirst).as("pages whose poison came first").isPositive();
  }

  /** What a race is against: pages are placed. */
  interface Placing {
    void place() throws Exception;
  }

  /** Both at once; returns when both are done. */
  static void poisonWhile(TouchedMemory memory, List<Integer> late, Placing placing)
      throws Exception {
    CyclicBarrier together = new CyclicBarrier(2);
    CompletableFuture<Void> poisoning =
        TouchedMemory.start(
            () -> {
              together.await();
              poisonWhatIsNotHeld(memory, late);
              return null;
            });
    together.await();

    placing.place();
    TouchedMemory.await(poisoning);
  }

  static void poisonWhatIsNotHeld(TouchedMemory memory, List<Integer> pages)
      throws ResolveException {
    for (int page : pages) {
      if (memory.fixture.table.poison(page)) {
        memory.fixture.resolver.poison(new PageRun(page, 1));
      }
    }
  }

  static int assertPoisonOrBytes(TouchedMemory memory) {
    return assertPoisonOrContent(memory, everyPage());
  }

  /**
   * @param data which pages have the source's bytes; the others are zeros
   */
  private static int assertPoisonOrContent(TouchedMemory memory, BitSet data) {
    int poisoned = 0;
    for (int page = 0; page < PAGES; page++) {
      if (memory.fixture.table.get(page) == PageTable.State.POISONED) {
        assertThat(memory.isPoisoned(page)).as("marker of page %d", page).isTrue();
        poisoned++;
      } else {
        assertThat(data.get(page) ? memory.holdsItsBytes(page) : memory.holdsZeros(page))
            .as("content of page %d", page)
            .isTrue();
      }
    }
    assertThat(memory.fixture.resolver.unresolved()).isZero();
    return poisoned;
  }

  private static BitSet everyPage() {
    BitSet all = new BitSet();
    all.set(0, PAGES);
    return all;
  }

  /** Every so many pages one of zeros, or one of data. */
  private static BitSet every(int step, boolean data) {
    BitSet some = data ? new BitSet() : everyPage();
    for (int page = 1; page < PAGES; page += step) {
      some.set(page, data);
    }
    return some;
  }

  /** Pages of the guest that take up memory: the one of zeros, which all share, is not counted. */
  private static long ownPages(TouchedMemory memory) throws IOException {
    return CollapseKernelTest.smapsKib(memory.base, "Rss") >>> 2;
  }

  @ParameterizedTest
  @ValueSource(ints = {2, 3, 511})
  void aHugePageOfWhichAtMostHalfIsZerosIsMovedAsOne(int step) throws Exception {
    BitSet data = every(step, false);
    try (TouchedMemory memory = oneHugePage()) {
      long placed = memory.mixed(ALL, data, staged);

      assertThat(placed).isEqualTo(PAGES);
      assertThat(CollapseKernelTest.smapsKib(memory.base, "AnonHugePages")).isEqualTo(2048);
      assertThat(assertPoisonOrContent(memory, data)).isZero();
      assertThat(memory.fixture.resolver.counts().data()).isEqualTo(data.cardinality());
      assertThat(memory.fixture.resolver.counts().zero()).isEqualTo(PAGES - data.cardinality());
    }
  }

  @Test
  void aMixedHugePageWakesWhoeverWaitsForOneOfItsPages() throws Exception {
    BitSet data = every(2, false);
    try (TouchedMemory memory = oneHugePage()) {
      memory.loop.start();
      CompletableFuture<Integer> zero = memory.touch(301);
      CompletableFuture<Integer> content = memory.touch(302);
      TouchedMemory.awaitThat(() -> memory.fixture.faultsRead.get() > 1, "both faults");

      memory.mixed(ALL, data, staged);

      assertThat(TouchedMemory.await(zero)).isZero();
      assertThat(TouchedMemory.await(content)).isZero();
      assertThat(assertPoisonOrContent(memory, data)).isZero();
    }
  }

  @Test
  void whereMostIsZerosTheGuestsMemoryGrowsByThePagesWithData() throws Exception {
    BitSet data = every(3, true);
    try (TouchedMemory memory = oneHugePage()) {
      long placed = memory.mixed(ALL, data, staged);

      assertThat(placed).isEqualTo(PAGES);
      assertThat(assertPoisonOrContent(memory, data)).isZero();
      assertThat(memory.fixture.resolver.counts().data()).isEqualTo(data.cardinality());
      assertThat(ownPages(memory)).isEqualTo(data.cardinality());
    }
  }

  @Test
  void mixedPagesThatHaveAnotherWriterAreLeftOut() throws Exception {
    BitSet data = every(2, false);
    try (TouchedMemory memory = oneHugePage()) {
      memory.poison(17);
      memory.poison(18);
      memory.place(400); // as whoever asked for it does
      assertThat(memory.fixture.table.claim(400)).isTrue();
      memory.place(401);
      assertThat(memory.fixture.table.claim(401)).isTrue();

      long placed = memory.mixed(ALL, data, staged);

      assertThat(placed).isEqualTo(PAGES - 4);
      assertThat(memory.isPoisoned(17)).isTrue();
      assertThat(memory.isPoisoned(18)).isTrue();
      assertThat(memory.holdsItsBytes(400)).isTrue();
      assertThat(memory.holdsItsBytes(401)).as("not zeroed").isTrue();
      data.set(401);
      assertThat(memory.fixture.resolver.unresolved()).isEqualTo(2);
      for (int page = 0; page < PAGES; page++) {
        if (page != 17 && page != 18) {
          assertThat(data.get(page) ? memory.holdsItsBytes(page) : memory.holdsZeros(page))
              .as("page %d", page)
              .isTrue();
        }
      }
    }
  }

  @Test
  void mixedPagesThatTheGuestGaveBackMeanwhileAreNotPlaced() throws Exception {
    BitSet data = every(2, false);
    try (TouchedMemory memory = oneHugePage()) {
      memory.fixture.giveBack(new PageRun(100, 3));

      long placed = memory.mixed(ALL, data, staged);

      assertThat(placed).isEqualTo(PAGES - 3);
      assertThat(memory.real(101)).isEqualTo(MarkerScan.Real.EMPTY);
      assertThat(memory.holdsItsBytes(99) == data.get(99)).isTrue();
      assertThat(memory.fixture.resolver.unresolved()).isZero();
    }
  }

  @Test
  void latePoisonThatRacesAMixedHugePageIsNeitherLostNorHealed() throws Exception {
    Random random = new Random(7);
    int poisonedFirst = 0;
    for (int round = 0; round < ROUNDS; round++) {
      BitSet data = every(2 + random.nextInt(5), false);
      try (TouchedMemory memory = oneHugePage()) {
        List<Integer> late = random.ints(4, 0, PAGES).distinct().boxed().toList();
        poisonWhile(memory, late, () -> memory.mixed(ALL, data, staged));

        poisonedFirst += assertPoisonOrContent(memory, data);
      }
    }
    assertThat(poisonedFirst).as("pages whose poison came first").isPositive();
  }
}
