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
import ward.kernel.Linux;
import ward.memory.PageRun;
import ward.memory.Pages;
import ward.testing.RequiresUserfaultfd;
import ward.uffd.MarkerScan;

/** Pages of a memfd, which are written in one mapping and watched in another. */
@RequiresUserfaultfd
@Timeout(180)
class SharedMemoryKernelTest {

  private static final int PAGES = 512;
  private static final PageRun ALL = new PageRun(0, PAGES);
  private static final int ROUNDS = 40;

  private TouchedMemory memory;

  @BeforeEach
  void open() throws Exception {
    memory = new TouchedMemory(PAGES, MemoryKind.MEMFD);
    memory.loop.start();
  }

  @AfterEach
  void close() {
    memory.close();
  }

  private long secondOf(long page) {
    return memory.second + Pages.bytes(page);
  }

  private int collapse(long address) {
    return memory.kernel.advise(address, Pages.bytes(PAGES), Linux.MADV_COLLAPSE);
  }

  @Test
  void aRunWakesWhoeverWaitsForOneOfItsPages() throws Exception {
    CompletableFuture<Integer> touch = memory.touch(300);

    long placed = memory.data(0, PAGES);

    assertThat(placed).isEqualTo(PAGES);
    assertThat(TouchedMemory.await(touch)).isZero();
    assertThat(memory.fixture.resolver.unresolved()).isZero();
    for (int page = 0; page < PAGES; page++) {
      assertThat(memory.holdsItsBytes(page)).as("page %d", page).isTrue();
    }
  }

  @Test
  void pagesThatHaveAnotherWriterAreNotEvenWrittenInTheFile() throws Exception {
    memory.poison(17);
    memory.fixture.table.claim(400); // by whoever asked for it, whose answer is on its way

    long placed = memory.data(0, PAGES);

    assertThat(placed).isEqualTo(PAGES - 2);
    assertThat(memory.isPoisoned(17)).isTrue();
    assertThat(memory.fixture.resolver.unresolved()).isEqualTo(1);
    assertThat(holdsZerosInTheFile(17)).isTrue();
    assertThat(holdsZerosInTheFile(400)).isTrue();
  }

  private boolean holdsZerosInTheFile(long page) {
    return java.util.Arrays.equals(memory.readAt(secondOf(page)), new byte[Pages.SIZE_BYTES]);
  }

  @Test
  void aPageThatIsOnlyHalfWrittenIsWaitedFor() throws Exception {
    assertThat(memory.fixture.table.claim(5)).isTrue();
    long half = Pages.SIZE_BYTES / 2;
    assertThat(memory.kernel.copy(secondOf(5), memory.sourceOf(5), half)).isEqualTo(half);

    CompletableFuture<Integer> touch = memory.touch(5);
    TouchedMemory.awaitThat(
        () -> memory.fixture.faultsRead.get() > 1, "faults that are read and answered by nothing");
    boolean waits = !touch.isDone();
    memory.fixture.resolver.data(new PageRun(6, 1), memory.sourceOf(6));
    memory.place(5);

    assertThat(waits).isTrue();
    assertThat(TouchedMemory.await(touch)).isZero();
    assertThat(memory.holdsItsBytes(5)).isTrue();
  }

  @Test
  void zerosTakeThePlaceOfWhateverTheFileHolds() throws Exception {
    assertThat(memory.kernel.copy(secondOf(3), memory.sourceOf(3), Pages.SIZE_BYTES)).isPositive();

    long placed = memory.fixture.resolver.zero(new PageRun(0, 8));

    assertThat(placed).isEqualTo(8);
    for (int page = 0; page < 8; page++) {
      assertThat(memory.holdsZeros(page)).as("page %d", page).isTrue();
    }
  }

  private static void writeInTheFile(TouchedMemory where, long page, long bytes) {
    long to = where.second + Pages.bytes(page);
    assertThat(where.kernel.copy(to, where.sourceOf(page + 1), bytes)).isEqualTo(bytes);
  }

  @Test
  void aRunIsWholeWhereverTheFileHasPagesWithOtherBytes() throws Exception {
    for (int page : new int[] {0, 1, 100, 102, PAGES - 2}) {
      writeInTheFile(memory, page, Pages.SIZE_BYTES);
    }
    CompletableFuture<Integer> touch = memory.touch(102);

    long placed = memory.data(0, PAGES - 1);

    assertThat(placed).isEqualTo(PAGES - 1);
    assertThat(TouchedMemory.await(touch)).isZero();
    for (int page = 0; page < PAGES - 1; page++) {
      assertThat(memory.holdsItsBytes(page)).as("page %d", page).isTrue();
    }
    assertThat(memory.real(PAGES - 1)).isEqualTo(MarkerScan.Real.EMPTY);
  }

  @Test
  void whatTheGuestHasWrittenIsNotOverwrittenByALateCopy() throws Exception {
    memory.data(0, 8);
    long guests = memory.base + Pages.bytes(5);
    assertThat(memory.kernel.copy(guests, memory.sourceOf(300), Pages.SIZE_BYTES)).isPositive();
    byte[] written = memory.readAt(memory.sourceOf(300));

    memory.place(5);
    byte[] whileMapped = memory.readAt(guests);
    assertThat(TouchedMemory.await(memory.discard(5, 1))).isZero(); // unmapped, still in the file
    memory.place(5);

    assertThat(whileMapped).isEqualTo(written);
    assertThat(memory.readAt(secondOf(5))).isEqualTo(written);
    assertThat(TouchedMemory.await(memory.touch(5))).isZero();
    assertThat(memory.readAt(guests)).isEqualTo(written);
  }

  @Test
  void latePoisonThatRacesPagesOfTheFileIsNeitherLostNorHealed() throws Exception {
    Random random = new Random(6);
    int poisonedFirst = 0;
    for (int round = 0; round < ROUNDS; round++) {
      try (TouchedMemory raced = new TouchedMemory(PAGES, MemoryKind.MEMFD)) {
        List<Integer> late = random.ints(4, 0, PAGES).distinct().boxed().toList();
        late.forEach(page -> writeInTheFile(raced, page, Pages.SIZE_BYTES / 2));
        LateMoveKernelTest.poisonWhile(raced, late, () -> raced.data(0, PAGES));

        poisonedFirst += LateMoveKernelTest.assertPoisonOrBytes(raced);
      }
    }
    assertThat(poisonedFirst).as("pages whose poison came first").isPositive();
  }

  @Test
  void latePoisonThatRacesARunIsNeitherLostNorHealed() throws Exception {
    Random random = new Random(5);
    int poisonedFirst = 0;
    for (int round = 0; round < ROUNDS; round++) {
      try (TouchedMemory raced = new TouchedMemory(PAGES, MemoryKind.MEMFD)) {
        List<Integer> late = random.ints(4, 0, PAGES).distinct().boxed().toList();
        LateMoveKernelTest.poisonWhile(raced, late, () -> raced.data(0, PAGES));

        poisonedFirst += LateMoveKernelTest.assertPoisonOrBytes(raced);
      }
    }
    assertThat(poisonedFirst).as("pages whose poison came first").isPositive();
  }

  @Test
  void whatTheKernelHasUnmappedIsMappedAgainAtTheNextTouch() throws Exception {
    memory.data(0, PAGES - 1); // one page is a hole, for which the kernel gives up half-way
    assertThat(collapse(memory.second)).isNegative();
    assertThat(memory.real(9)).isEqualTo(MarkerScan.Real.EMPTY);

    CompletableFuture<Integer> touch = memory.touch(9);

    assertThat(TouchedMemory.await(touch)).isZero();
    assertThat(memory.holdsItsBytes(9)).isTrue();
  }

  @Test
  void theAuditMapsAgainWhatTheKernelHasUnmapped() throws Exception {
    memory.data(0, PAGES - 1);
    memory.poison(PAGES - 1);
    assertThat(collapse(memory.base)).isNegative();
    assertThat(memory.real(9)).isEqualTo(MarkerScan.Real.EMPTY);

    Audit.Finding finding = memory.audit.run();

    assertThat(finding.mismatches()).isEmpty();
    assertThat(finding.agrees()).isTrue();
    assertThat(finding.markers()).isEqualTo(1);
  }

  @Test
  void noHugePageTakesThePlaceOfAMarker() throws Exception {
    memory.data(0, PAGES - 1);
    long last = PAGES - 1;
    assertThat(memory.kernel.copy(secondOf(last), memory.sourceOf(last), 8)).isEqualTo(8);
    memory.poison(last);

    int atTheGuest = collapse(memory.base);
    int atTheOther = collapse(memory.second);

    assertThat(memory.isPoisoned(last)).isTrue();
    assertThat(atTheGuest).isNegative();
    assertThat(atTheOther).isNegative();
    assertThat(TouchedMemory.await(memory.touch(last))).isEqualTo(-Errno.EFAULT.intValue());
  }

  @Test
  void aMarkerOverAPageOfTheFileWouldBeLostToAHugePage() throws Exception {
    memory.data(0, PAGES - 1);
    long last = PAGES - 1;
    assertThat(memory.kernel.copy(secondOf(last), memory.sourceOf(last), 8)).isEqualTo(8);
    memory.uffd.poison(memory.base + Pages.bytes(last), Pages.SIZE_BYTES); // without the hole
    boolean marked = memory.isPoisoned(last);

    int answer = collapse(memory.base);

    assertThat(marked).isTrue();
    assertThat(answer).isZero();
    assertThat(memory.isPoisoned(last)).isFalse();
  }

  @Test
  void aPageThatWasRemovedFromTheFileReadsZerosAfterwards() throws Exception {
    memory.data(0, PAGES);

    assertThat(TouchedMemory.await(memory.remove(7, 2))).isZero();

    assertThat(TouchedMemory.await(memory.touch(7))).isZero();
    assertThat(memory.holdsZeros(7)).isTrue();
    assertThat(memory.holdsItsBytes(9)).isTrue();
  }

  @Test
  void aPageWhoseMappingWasGivenBackHoldsWhatTheFileHolds() throws Exception {
    memory.data(0, PAGES);

    assertThat(TouchedMemory.await(memory.discard(7, 2))).isZero();

    assertThat(TouchedMemory.await(memory.touch(7))).isZero();
    assertThat(memory.holdsItsBytes(7)).isTrue();
  }

  @Test
  void aPoisonedPageThatIsGivenBackStaysPoisoned() throws Exception {
    memory.poison(7);
    memory.data(8, 8);

    assertThat(TouchedMemory.await(memory.discard(7, 1))).isZero();
    assertThat(TouchedMemory.await(memory.touch(7))).isEqualTo(-Errno.EFAULT.intValue());
    assertThat(TouchedMemory.await(memory.remove(7, 1))).isZero();

    assertThat(TouchedMemory.await(memory.touch(7))).isEqualTo(-Errno.EFAULT.intValue());
    assertThat(memory.isPoisoned(7)).isTrue();
  }
}
