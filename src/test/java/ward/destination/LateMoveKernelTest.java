package ward.destination;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assumptions.assumeThat;

import java.util.List;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CyclicBarrier;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import ward.kernel.NativeKernel;
import ward.kernel.NativeMemory;
import ward.kernel.StagingMemory;
import ward.memory.PageRun;
import ward.testing.RequiresUserfaultfd;

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
    int poisoned = 0;
    for (int page = 0; page < PAGES; page++) {
      if (memory.fixture.table.get(page) == PageTable.State.POISONED) {
        assertThat(memory.isPoisoned(page)).as("marker of page %d", page).isTrue();
        poisoned++;
      } else {
        assertThat(memory.holdsItsBytes(page)).as("bytes of page %d", page).isTrue();
      }
    }
    assertThat(memory.fixture.resolver.unresolved()).isZero();
    return poisoned;
  }
}
