package ward.destination;

import static org.assertj.core.api.Assertions.assertThat;
import static ward.destination.TouchedMemory.await;

import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import jnr.constants.platform.Errno;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import ward.destination.PageTable.State;
import ward.memory.PageRun;
import ward.testing.RequiresUserfaultfd;
import ward.uffd.MarkerKind;

/** Lost pages that a guest gives back, on this machine's kernel: a thread in native code. */
@RequiresUserfaultfd
@Timeout(120)
class GivenUpKernelTest {

  private static final int PAGES = 256;
  private static final int SIGBUS = -Errno.EFAULT.intValue();

  private TouchedMemory memory;

  @BeforeEach
  void open() throws Exception {
    start(OnRemove.UNPOISON);
  }

  private void start(OnRemove policy) throws Exception {
    if (memory != null) {
      close();
    }
    memory = new TouchedMemory(PAGES, MarkerKind.UFFD, policy);
    memory.loop.start();
  }

  @AfterEach
  void close() {
    memory.close();
  }

  @Test
  void aLostPageThatIsGivenBackIsFreshMemoryAndTheLedgerSaysSo() throws Exception {
    memory.poison(3);

    await(memory.discard(3, 1));
    int touch = await(memory.touch(3));

    assertThat(touch).isZero();
    assertThat(memory.holdsZeros(3)).isTrue();
    assertThat(memory.ledger.isGivenUp(3)).isTrue();
    assertThat(memory.fixture.table.get(3)).isEqualTo(State.POISONED);
    assertThat(memory.fixture.failures).isEmpty();
  }

  @Test
  void whatTheSourceSendsForItStillIsNotPlaced() throws Exception {
    memory.poison(3);
    await(memory.discard(3, 1));
    await(memory.touch(3));

    long placed = memory.data(3, 1);
    await(memory.discard(3, 1));
    int touch = await(memory.touch(3));

    assertThat(placed).isZero();
    assertThat(touch).isZero();
    assertThat(memory.holdsZeros(3)).isTrue();
  }

  @Test
  void aLostPageWhoseReturnCannotBeWrittenStaysLost() throws Exception {
    memory.poison(3);
    memory.ledger.full = true;
    await(memory.discard(3, 1));

    int touch = await(memory.touch(3));
    boolean poisoned = memory.isPoisoned(3);
    memory.ledger.full = false;
    await(memory.discard(3, 1));
    int later = await(memory.touch(3));

    assertThat(touch).isEqualTo(SIGBUS);
    assertThat(poisoned).isTrue();
    assertThat(later).isZero();
  }

  @Test
  void aLossThatIsStillOnItsWayToTheDiskIsGivenUpAfterIt() throws Exception {
    assertThat(memory.fixture.table.poison(3)).isTrue();
    await(memory.discard(3, 1));
    CompletableFuture<Integer> waiting = memory.touch(3);
    Thread.sleep(50);
    boolean early = waiting.isDone() || memory.ledger.isGivenUp(3);

    memory.ledger.lose(3);
    memory.fixture.resolver.poison(new PageRun(3, 1));

    assertThat(early).isFalse();
    assertThat(await(waiting)).isZero();
    assertThat(memory.holdsZeros(3)).isTrue();
    assertThat(memory.ledger.isGivenUp(3)).isTrue();
  }

  @Test
  void theAuditGivesUpWhatNobodyHasTouchedSince() throws Exception {
    memory.data(0, 3);
    memory.poison(3);
    memory.poison(4);
    memory.data(5, PAGES - 5);
    await(memory.discard(3, 1));

    Audit.Finding finding = memory.audit.run();

    assertThat(finding.agrees()).as("%s", finding).isTrue();
    assertThat(finding.markers()).isEqualTo(1);
    assertThat(finding.givenUp().size()).isEqualTo(1);
    assertThat(memory.ledger.isGivenUp(3)).isTrue();
    assertThat(await(memory.touch(3))).isZero();
    assertThat(await(memory.touch(4))).isEqualTo(SIGBUS);
    assertThat(memory.audit.run().agrees()).isTrue();
  }

  @Test
  void theAuditPutsMarkersBackWhenItCannotWrite() throws Exception {
    memory.data(0, 3);
    memory.poison(3);
    memory.data(4, PAGES - 4);
    await(memory.discard(3, 1));
    memory.ledger.full = true;

    Audit.Finding finding = memory.audit.run();

    assertThat(finding.agrees()).as("%s", finding).isTrue();
    assertThat(finding.markers()).isEqualTo(1);
    assertThat(memory.isPoisoned(3)).isTrue();
  }

  @ParameterizedTest
  @EnumSource(OnRemove.class)
  void aPageThatThisHostLostIsTreatedAsOneThatTheSourceLost(OnRemove policy) throws Exception {
    start(policy);
    memory.data(0, PAGES);
    memory.ledger.lose(4);

    await(memory.discard(4, 1));
    int touch = await(memory.touch(4));

    assertThat(touch).isEqualTo(policy == OnRemove.KEEP ? SIGBUS : 0);
    assertThat(memory.ledger.isGivenUp(4)).isEqualTo(policy == OnRemove.UNPOISON);
    Audit.Finding finding = memory.audit.run();
    assertThat(finding.agrees()).as("%s", finding).isTrue();
    assertThat(finding.markers()).as("of the source's losses").isZero();
  }

  @ParameterizedTest
  @EnumSource(OnRemove.class)
  void aGuestThatStandsStillHasNoEmptyPageAfterwards(OnRemove policy) throws Exception {
    start(policy);
    memory.data(0, 3);
    memory.poison(3);
    memory.data(4, PAGES - 4);
    await(memory.discard(2, 3));

    memory.audit.fillEmptyPages();

    assertThat(memory.isPoisoned(3)).isEqualTo(policy == OnRemove.KEEP);
    assertThat(memory.holdsZeros(2)).isTrue();
    assertThat(memory.holdsZeros(4)).isTrue();
    if (policy == OnRemove.UNPOISON) {
      assertThat(memory.holdsZeros(3)).isTrue();
      assertThat(memory.ledger.isGivenUp(3)).isTrue();
    }
  }

  /** Answers, late losses, touches and a balloon, all at once, on the same few pages. */
  @ParameterizedTest
  @EnumSource(OnRemove.class)
  void whateverHappensAtOnceNobodyWaitsAndNobodyReadsStaleBytes(OnRemove policy) throws Exception {
    long seed = System.nanoTime();
    start(policy);
    CompletableFuture<Integer> balloon = TouchedMemory.start(() -> discardSome(seed));
    CompletableFuture<Integer> secondBalloon = TouchedMemory.start(() -> discardSome(seed + 1));
    CompletableFuture<Integer> losses = TouchedMemory.start(() -> loseSome(seed + 2));
    CompletableFuture<Integer> stream = TouchedMemory.start(this::streamAll);
    List<CompletableFuture<Integer>> touches = new ArrayList<>();
    for (int page = 0; page < PAGES; page += 8) {
      touches.add(memory.touch(page));
    }
    for (CompletableFuture<Integer> one : List.of(balloon, secondBalloon, losses, stream)) {
      assertThat(await(one)).as("seed %d", seed).isZero();
    }
    for (CompletableFuture<Integer> touch : touches) {
      assertThat(await(touch)).as("seed %d", seed).isIn(0, SIGBUS);
    }
    for (long page = 0; page < PAGES; page++) {
      int touch = await(memory.touch(page));
      assertThat(touch).as("page %d, seed %d", page, seed).isEqualTo(isLost(page) ? SIGBUS : 0);
      if (touch == 0) {
        boolean zeros = memory.fixture.givenBack.contains(page) && memory.holdsZeros(page);
        assertThat(memory.holdsItsBytes(page) || zeros).as("page %d, seed %d", page, seed).isTrue();
      }
    }
    assertThat(memory.fixture.failures).as("seed %d", seed).isEmpty();
    Audit.Finding finding = memory.audit.run();
    assertThat(finding.agrees()).as("%s, seed %d", finding, seed).isTrue();
    assertThat(memory.fixture.allResolved).hasValue(1);
  }

  private boolean isLost(long page) {
    return memory.fixture.table.get(page) == State.POISONED && !memory.givenUp.contains(page);
  }

  private int discardSome(long seed) throws Exception {
    Random random = new Random(seed);
    for (int i = 0; i < 150; i++) {
      await(memory.discard(random.nextInt(PAGES - 2), 2));
    }
    return 0;
  }

  /** As a recorder does it: claimed, written a little later, then marked. */
  private int loseSome(long seed) throws Exception {
    Random random = new Random(seed);
    for (int i = 0; i < 60; i++) {
      long page = random.nextInt(PAGES);
      if (memory.fixture.table.poison(page)) {
        Thread.sleep(random.nextInt(3));
        memory.ledger.lose(page);
        memory.fixture.resolver.poison(new PageRun(page, 1));
      }
    }
    return 0;
  }

  private int streamAll() throws Exception {
    for (long page = 0; page < PAGES; page += 4) {
      memory.data(page, 4);
      Thread.sleep(1);
    }
    return 0;
  }
}
