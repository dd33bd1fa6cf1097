package ward.destination;

import static org.assertj.core.api.Assertions.assertThat;
import static ward.destination.TouchedMemory.await;

import java.util.concurrent.CompletableFuture;
import jnr.constants.platform.Errno;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import ward.kernel.Fd;
import ward.memory.PageRun;
import ward.memory.PageSet;
import ward.memory.Pages;
import ward.testing.RequiresUserfaultfd;
import ward.uffd.MarkerKind;

/** An arrival's parts over markers that are mappings, as on a kernel without UFFDIO_POISON. */
@RequiresUserfaultfd
@Timeout(60)
class MappedMarkersKernelTest {

  private static final int EFAULT = -Errno.EFAULT.intValue();

  private TouchedMemory memory;

  @BeforeEach
  void open() throws Exception {
    memory = new TouchedMemory(16, MarkerKind.SIGBUS);
  }

  @AfterEach
  void close() {
    memory.close();
  }

  private void fillAllBut(long page) throws Exception {
    memory.data(0, page);
    memory.data(page + 1, 15 - page);
  }

  @Test
  void theAuditCountsThem() throws Exception {
    fillAllBut(12);
    memory.poison(12);

    Audit.Finding finding = memory.audit.run();

    assertThat(finding.mismatches()).isEmpty();
    assertThat(finding.markers()).isEqualTo(1);
  }

  @Test
  void theAuditNamesOneThatSomebodyPutAnotherMappingOver() throws Exception {
    fillAllBut(12);
    memory.poison(12);
    try (Fd other = memory.kernel.createMemfd("other", Pages.SIZE_BYTES)) {
      long page = memory.base + Pages.bytes(12);
      assertThat(memory.kernel.mapOver(other, 0, page, Pages.SIZE_BYTES)).isZero();
    }

    Audit.Finding finding = memory.audit.run();

    assertThat(finding.mismatches())
        .containsExactly(
            "guest-physical address 0x10c000: page table says POISONED, memory is EMPTY");
  }

  @Test
  void aLateLossWakesWhoWaitsForThePage() throws Exception {
    fillAllBut(12);
    CompletableFuture<Integer> waiting = memory.touch(12);
    TouchedMemory.awaitThat(
        () -> {
          memory.loop.drain();
          return memory.fixture.table.get(12) == PageTable.State.REQUESTED;
        },
        "the request");

    memory.poison(12);

    assertThat(await(waiting)).isEqualTo(EFAULT);
    assertThat(memory.fixture.allResolved).hasValue(1);
  }

  @Test
  void contentThatComesAfterTheLossIsNotPlaced() throws Exception {
    memory.poison(12);

    assertThat(memory.data(8, 8)).isEqualTo(7);

    assertThat(await(memory.touch(12))).isEqualTo(EFAULT);
    assertThat(memory.holdsItsBytes(11)).isTrue();
    assertThat(memory.holdsItsBytes(13)).isTrue();
  }

  /** No event tells of it, and none is needed. */
  @Test
  void aPageThatTheGuestGivesBackStaysLost() throws Exception {
    fillAllBut(12);
    memory.poison(12);

    assertThat(await(memory.discard(12, 1))).isZero();

    assertThat(await(memory.touch(12))).isEqualTo(EFAULT);
    assertThat(memory.audit.run().agrees()).isTrue();
  }

  @Test
  void givingBackARangeAroundAMarkerLeavesItWhereItIs() throws Exception {
    fillAllBut(12);
    memory.poison(12);
    CompletableFuture<Integer> discarding = memory.discard(10, 4);
    TouchedMemory.awaitThat(
        () -> {
          memory.loop.drain();
          return discarding.isDone();
        },
        "the end of madvise");

    assertThat(await(discarding)).isZero();
    assertThat(await(memory.touch(12))).isEqualTo(EFAULT);
    assertThat(memory.fixture.givenBack.copy().contains(11)).isTrue();
    assertThat(memory.fixture.givenBack.copy().contains(12)).isFalse();
    assertThat(memory.fixture.failures).isEmpty();
  }

  @Test
  void aRunOfPagesIsMarkedAtOnce() throws Exception {
    for (long page = 4; page < 8; page++) {
      assertThat(memory.fixture.table.poison(page)).isTrue();
    }
    memory.fixture.resolver.poison(new PageRun(4, 4));
    memory.data(0, 4);
    memory.data(8, 8);

    assertThat(memory.audit.run())
        .isEqualTo(new Audit.Finding(4, java.util.List.of(), 0, 0, new PageSet()));
  }
}
