package ward.destination;

import static org.assertj.core.api.Assertions.assertThat;
import static ward.destination.TouchedMemory.await;
import static ward.destination.TouchedMemory.awaitThat;

import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import jnr.constants.platform.Errno;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import ward.destination.PageTable.State;
import ward.testing.RequiresUserfaultfd;
import ward.wire.PageRequest;

/** The fault path on this machine's kernel: a thread in native code is the guest. */
@RequiresUserfaultfd
@Timeout(60)
class FaultLoopKernelTest {

  private static final int PAGES = 512;
  private static final int SIGBUS = -Errno.EFAULT.intValue();

  private TouchedMemory memory;

  @BeforeEach
  void open() throws Exception {
    memory = new TouchedMemory(PAGES);
  }

  @AfterEach
  void close() {
    memory.close();
  }

  private void startLoop() throws Exception {
    memory.loop.start();
  }

  private void awaitRequests(int count) throws Exception {
    awaitThat(() -> memory.fixture.requests.size() >= count, count + " requests");
  }

  @Test
  void aTouchBecomesOneRequestAndEndsWithTheAnswersBytes() throws Exception {
    startLoop();
    CompletableFuture<Integer> first = memory.touch(3);
    CompletableFuture<Integer> second = memory.touch(3);
    awaitRequests(1);

    memory.data(3, 1);

    assertThat(await(first)).isZero();
    assertThat(await(second)).isZero();
    assertThat(memory.holdsItsBytes(3)).isTrue();
    assertThat(memory.fixture.requests).containsExactly(new PageRequest(1, Fixture.gpa(3), 1));
    assertThat(memory.fixture.failures).isEmpty();
  }

  @Test
  void dataThatComesAfterPoisonDoesNotHealIt() throws Exception {
    startLoop();
    CompletableFuture<Integer> waiting = memory.touch(5);
    awaitRequests(1);
    memory.poison(5);

    memory.data(4, 3);
    memory.data(5, 1);

    assertThat(await(waiting)).isEqualTo(SIGBUS);
    assertThat(memory.isPoisoned(5)).isTrue();
    assertThat(await(memory.touch(5))).isEqualTo(SIGBUS);
    assertThat(memory.holdsItsBytes(4)).isTrue();
    assertThat(memory.holdsItsBytes(6)).isTrue();
  }

  @Test
  void aPresentPageThatIsGivenBackReadsAsZeros() throws Exception {
    startLoop();
    memory.data(3, 1);

    await(memory.discard(3, 1));
    int touch = await(memory.touch(3));

    assertThat(touch).isZero();
    assertThat(memory.holdsZeros(3)).isTrue();
  }

  @Test
  void aPageThatIsGivenBackWhileAThreadWaitsForItReadsAsZerosAndItsAnswerIsDropped()
      throws Exception {
    startLoop();
    CompletableFuture<Integer> waiting = memory.touch(3);
    awaitRequests(1);

    await(memory.discard(3, 1));
    int touch = await(waiting);
    long placed = memory.data(3, 1);

    assertThat(touch).isZero();
    assertThat(placed).isZero();
    assertThat(memory.holdsZeros(3)).isTrue();
    assertThat(memory.fixture.resolver.counts().givenBack()).isEqualTo(1);
  }

  @Test
  void aPoisonedPageThatIsGivenBackIsPoisonedAgainOnTouch() throws Exception {
    startLoop();
    memory.poison(3);

    await(memory.discard(3, 1));
    int touch = await(memory.touch(3));

    assertThat(touch).isEqualTo(SIGBUS);
    assertThat(memory.isPoisoned(3)).isTrue();
    assertThat(memory.fixture.table.get(3)).isEqualTo(State.POISONED);
  }

  @Test
  void theAuditPutsBackTheMarkerOfAPageThatWasGivenBack() throws Exception {
    startLoop();
    memory.data(0, 3);
    memory.poison(3);
    memory.data(4, PAGES - 4);

    await(memory.discard(2, 3));
    Audit.Finding finding = memory.audit.run();

    assertThat(finding.mismatches()).isEmpty();
    assertThat(finding.markers()).isEqualTo(1);
    assertThat(memory.isPoisoned(3)).isTrue();
  }

  @Test
  void noPageIsEmptyAfterWhatWasGivenBackIsFilled() throws Exception {
    startLoop();
    memory.data(0, 3);
    memory.poison(3);
    memory.data(4, PAGES - 4);
    await(memory.discard(2, 4));

    memory.audit.fillEmptyPages();

    assertThat(memory.isPoisoned(3)).isTrue();
    for (int page : new int[] {2, 4, 5}) {
      assertThat(memory.holdsZeros(page)).isTrue();
    }
    assertThat(memory.holdsItsBytes(6)).isTrue();
    assertThat(memory.fixture.requests).isEmpty();
  }

  @Test
  void whoeverPlacesPagesReadsTheEventThatBlocksHimWhenNobodyElseDoes() throws Exception {
    CompletableFuture<Integer> discarding = memory.discard(9, 1);
    Thread.sleep(50); // it waits in the kernel now, or soon: either way nobody else reads

    long placed = memory.data(0, 9);
    while (!discarding.isDone()) {
      memory.loop.drain();
    }
    memory.data(10, PAGES - 10);

    assertThat(placed).isEqualTo(9);
    assertThat(memory.holdsItsBytes(8)).isTrue();
    assertThat(memory.fixture.failures).isEmpty();
  }

  @Test
  void aStreamAndTouchesAndGivenBackPagesTogetherEndWithBytesOrZerosAndNobodyWaits()
      throws Exception {
    long seed = System.nanoTime();
    startLoop();
    memory.poison(77);
    CompletableFuture<Integer> balloon = TouchedMemory.start(() -> discardSome(seed));
    CompletableFuture<Integer> stream = TouchedMemory.start(this::streamAll);
    List<CompletableFuture<Integer>> touches = new ArrayList<>();
    for (int page = 0; page < PAGES; page += 16) {
      touches.add(memory.touch(page));
    }

    await(balloon);
    await(stream);
    for (CompletableFuture<Integer> touch : touches) {
      assertThat(await(touch)).as("seed %d", seed).isZero();
    }
    for (long page = 0; page < PAGES; page++) {
      int touch = await(memory.touch(page));
      assertThat(touch).as("page %d, seed %d", page, seed).isEqualTo(page == 77 ? SIGBUS : 0);
      if (page != 77) {
        boolean zerosAllowed = memory.fixture.givenBack.contains(page);
        assertThat(memory.holdsItsBytes(page) || zerosAllowed && memory.holdsZeros(page))
            .as("page %d, seed %d", page, seed)
            .isTrue();
      }
    }
    assertThat(memory.fixture.failures).as("seed %d", seed).isEmpty();
    assertThat(memory.fixture.allResolved).hasValue(1);
    assertThat(memory.audit.run().mismatches()).as("seed %d", seed).isEmpty();
  }

  private int discardSome(long seed) throws Exception {
    Random random = new Random(seed);
    for (int i = 0; i < 100; i++) {
      long page = random.nextInt(PAGES - 2);
      await(memory.discard(page, 2));
    }
    return 0;
  }

  private int streamAll() throws Exception {
    for (long page = 0; page < PAGES; page += 4) {
      memory.data(page, 4);
    }
    return 0;
  }
}
