package ward.poison;

import static org.assertj.core.api.Assertions.assertThat;
import static ward.poison.Losses.page;

import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import ward.poison.FakeDisk.Action;

class LedgerQueueTest {

  private final FakeDisk disk = new FakeDisk();
  private final Deque<Runnable> thread = new ArrayDeque<>();
  private final List<Long> delays = new ArrayList<>();
  private final List<Throwable> failures = new ArrayList<>();
  private final List<String> done = new ArrayList<>();
  private Duration patience = Duration.ofMinutes(1);
  private LedgerJournal journal;
  private LedgerQueue queue;

  @BeforeEach
  void open() throws Exception {
    journal = LedgerJournal.over(disk, () -> {}, Path.of("/var/lib/ward/journal"));
    queue =
        new LedgerQueue(
            (task, millis) -> {
              delays.add(millis);
              thread.add(task);
            },
            () -> patience,
            failures::add);
  }

  private void add(long address) {
    queue.add(
        () -> {
          journal.append(List.of(page(address)));
          done.add("0x%x".formatted(address));
        });
  }

  /** The thread does what it has been given so far. */
  private void turn() {
    for (int left = thread.size(); left > 0; left--) {
      thread.remove().run();
    }
  }

  @Test
  void writesOneAfterTheOther() {
    add(0x1000);
    add(0x2000);

    turn();

    assertThat(done).containsExactly("0x1000", "0x2000");
    assertThat(thread).isEmpty();
  }

  @Test
  void whileTheDiskIsFullNothingIsDoneAndNothingIsLost() {
    disk.failInTheMiddleOfWrites();
    add(0x1000);
    turn();
    add(0x2000);
    turn();
    turn();
    assertThat(done).isEmpty();
    assertThat(failures).isEmpty();

    disk.recover();
    turn();

    assertThat(done).containsExactly("0x1000", "0x2000");
    assertThat(thread).isEmpty();
    assertThat(delays).contains(LedgerQueue.RETRY_MILLIS);
  }

  @Test
  void whatTakesTooLongFailsAndNothingIsWrittenAfterIt() {
    disk.fail(Action.FORCE);
    add(0x1000);
    add(0x2000);
    turn();
    patience = Duration.ZERO;

    turn();
    disk.recover();
    add(0x3000);
    turn();

    assertThat(failures)
        .singleElement()
        .hasToString(
            "ward.poison.LedgerException: cannot append to /var/lib/ward/journal: IOException: Input/output error");
    assertThat(done).isEmpty();
    assertThat(thread).isEmpty();
  }

  @Test
  void withoutPatienceTheFirstFailureIsTheEnd() {
    patience = Duration.ZERO;
    disk.fail(Action.WRITE);
    add(0x1000);

    turn();

    assertThat(failures).hasSize(1);
    assertThat(thread).isEmpty();
  }

  @Test
  void aClosedLedgerIsNotTriedAgainAndNeitherIsAnythingButTheLedger() throws Exception {
    queue.add(
        () -> {
          throw new IOException("no marker");
        });
    add(0x1000);
    turn();
    journal.close();
    add(0x2000);

    turn();

    assertThat(failures).hasSize(2);
    assertThat(done).containsExactly("0x1000");
    assertThat(thread).isEmpty();
  }

  @Test
  @Timeout(30)
  void whoeverMayWaitDoesSoWhileManyWritesWaitAndGoesOnWhenTheyAreWritten() throws Exception {
    for (int i = 0; i < LedgerQueue.WAITING_MAX - 1; i++) {
      add(0x1000L * i);
    }
    long before = System.nanoTime();
    queue.awaitRoom();
    long withRoom = System.nanoTime() - before;
    add(0x1000L * LedgerQueue.WAITING_MAX);
    Thread waiting = new Thread(queue::awaitRoom);
    waiting.start();
    waiting.join(300);
    boolean waitsForRoom = waiting.isAlive();

    turn();
    waiting.join();

    assertThat(withRoom).isLessThan(TimeUnit.MILLISECONDS.toNanos(500));
    assertThat(waitsForRoom).isTrue();
    assertThat(done).hasSize(LedgerQueue.WAITING_MAX);
  }

  @Test
  @Timeout(30)
  void whoeverMayWaitIsNotHeldForEverByADiskThatStaysFull() {
    for (int i = 0; i < LedgerQueue.WAITING_MAX; i++) {
      add(0x1000L * i);
    }
    long before = System.nanoTime();

    queue.awaitRoom();

    assertThat(System.nanoTime() - before).isGreaterThan(TimeUnit.MILLISECONDS.toNanos(500));
    assertThat(done).isEmpty();
  }
}
