package ward.destination;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import jnr.constants.platform.Errno;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import ward.memory.PageRun;
import ward.memory.PageSet;
import ward.poison.Circumstances;
import ward.poison.LedgerJournal;
import ward.poison.LedgerQueue;
import ward.poison.PoisonMap;
import ward.poison.Severity;
import ward.testing.RequiresUserfaultfd;
import ward.uffd.MarkerKind;

/** A poison map over real page tables: run by run, around what is there already. */
@RequiresUserfaultfd
@Timeout(60)
class PoisonMapKernelTest {

  private static final int EFAULT = -Errno.EFAULT.intValue();
  private static final Circumstances COMMON =
      new Circumstances(12, Severity.ACTION_REQUIRED, Fixture.ORIGIN);

  @TempDir Path directory;

  private TouchedMemory memory;

  @AfterEach
  void close() throws Exception {
    memory.close();
  }

  private static PoisonMap map(PageRun... pages) {
    PoisonMap map = new PoisonMap();
    for (PageRun run : pages) {
      map.add(COMMON, new PageRun(Fixture.frame(run.firstPage()), run.pageCount()));
    }
    return map;
  }

  /** Answers what was lost and what was held. */
  private List<PageSet> accept(PoisonMap map) throws Exception {
    List<PageSet> outcome = new ArrayList<>();
    try (LedgerJournal journal = LedgerJournal.open(directory, "vm-1")) {
      PoisonRecorder recorder =
          new PoisonRecorder(
              memory.fixture.memory.layout(),
              memory.fixture.table,
              memory.fixture.resolver,
              journal,
              new LedgerQueue(
                  (task, millis) -> task.run(), () -> Duration.ZERO, memory.fixture.failures::add),
              memory.fixture);
      recorder.acceptMap(map, (poisoned, held) -> outcome.addAll(List.of(poisoned, held)));
    }
    map.frames().forEach(frame -> memory.ledger.lose(frame - Fixture.frame(0)));
    assertThat(memory.fixture.failures).isEmpty();
    return outcome;
  }

  private static int await(CompletableFuture<Integer> touch) throws Exception {
    return touch.get(20, TimeUnit.SECONDS);
  }

  @ParameterizedTest
  @EnumSource(
      value = MarkerKind.class,
      names = {"UFFD", "SIGBUS"})
  void aPresentPageInTheMiddleOfARunKeepsItsBytes(MarkerKind kind) throws Exception {
    memory = new TouchedMemory(64, kind);
    memory.data(20, 1);

    List<PageSet> outcome = accept(map(new PageRun(16, 8), new PageRun(40, 1)));

    assertThat(outcome.get(0).size()).isEqualTo(8);
    assertThat(outcome.get(1).contains(Fixture.frame(20))).isTrue();
    assertThat(memory.holdsItsBytes(20)).isTrue();
    for (long page : new long[] {16, 19, 21, 23, 40}) {
      assertThat(await(memory.touch(page))).as("page %d", page).isEqualTo(EFAULT);
    }
    memory.data(0, 64);
    assertThat(memory.audit.run().markers()).isEqualTo(8);
    assertThat(memory.holdsItsBytes(15)).isTrue();
    assertThat(memory.holdsItsBytes(24)).isTrue();
  }

  /** Nobody's claim: another program did it. The kernel stops there, and Ward goes on behind. */
  @Test
  void aPageThatSomebodyElsePlacedInARunStopsNothing() throws Exception {
    memory = new TouchedMemory(64);
    assertThat(
            memory
                .uffd
                .zero(memory.base + ward.memory.Pages.bytes(20), ward.memory.Pages.SIZE_BYTES)
                .outcome())
        .isEqualTo(ward.uffd.FillResult.Outcome.COMPLETED);

    List<PageSet> outcome = accept(map(new PageRun(16, 8)));

    assertThat(outcome.get(0).size()).isEqualTo(8);
    assertThat(await(memory.touch(19))).isEqualTo(EFAULT);
    assertThat(await(memory.touch(21))).isEqualTo(EFAULT);
    memory.data(0, 64);
    assertThat(memory.audit.run().mismatchCount()).as("found, and never handed over").isEqualTo(1);
  }

  @Test
  void aThreadThatWaitsInARunIsToldAtOnce() throws Exception {
    memory = new TouchedMemory(64);
    CompletableFuture<Integer> waiting = memory.touch(18);
    TouchedMemory.awaitThat(
        () -> {
          memory.loop.drain();
          return memory.fixture.table.get(18) == PageTable.State.REQUESTED;
        },
        "the request");

    accept(map(new PageRun(16, 8)));

    assertThat(await(waiting)).isEqualTo(EFAULT);
  }

  /** As many runs as take more than one thread. */
  @Test
  void twentyThousandRunsAreMarkedOnEveryProcessor() throws Exception {
    memory = new TouchedMemory(3 * 20_000);
    PoisonMap map = new PoisonMap();
    for (long i = 0; i < 20_000; i++) {
      map.add(COMMON, new PageRun(Fixture.frame(3 * i), 2));
    }

    List<PageSet> outcome = accept(map);

    assertThat(outcome.get(0)).isEqualTo(map.frames());
    memory.data(0, 3 * 20_000);
    assertThat(memory.audit.run())
        .isEqualTo(new Audit.Finding(40_000, List.of(), 0, 0, new PageSet()));
    assertThat(memory.fixture.resolver.counts().poisoned()).isEqualTo(40_000);
    assertThat(memory.fixture.allResolved).hasValue(1);
  }
}
