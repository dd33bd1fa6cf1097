package ward.destination;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assumptions.assumeThat;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.LongStream;
import jnr.constants.platform.Errno;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import ward.memory.PageRun;
import ward.uffd.FillResult;

@Timeout(20)
class SharedWorkTest {

  private static List<PageRun> runs(int count) {
    return LongStream.range(0, count).mapToObj(i -> new PageRun(2 * i, 1)).toList();
  }

  @Test
  void everyRunIsDoneOnceAndMostNeighboursByTheSameThread() throws Exception {
    List<PageRun> runs = runs(50_000);
    List<List<PageRun>> shares = Collections.synchronizedList(new ArrayList<>());

    SharedWork.over(runs, shares::add);

    shares.sort((one, other) -> Long.compare(one.get(0).firstPage(), other.get(0).firstPage()));
    assertThat(shares.stream().flatMap(List::stream).toList()).isEqualTo(runs);
    assertThat(shares).hasSizeLessThan(100);
  }

  @Test
  void whatAHeldUpThreadDoesNotGetToTheOthersDo() throws Exception {
    assumeThat(Runtime.getRuntime().availableProcessors()).isGreaterThan(1);
    List<PageRun> runs = runs(50_000);
    AtomicInteger left = new AtomicInteger(runs.size());
    CountDownLatch nearlyDone = new CountDownLatch(1);
    AtomicBoolean heldUp = new AtomicBoolean();

    SharedWork.over(
        runs,
        share -> {
          if (heldUp.compareAndSet(false, true)) {
            await(nearlyDone);
          } else if (left.addAndGet(-share.size()) <= 1000) {
            nearlyDone.countDown();
          }
        });

    assertThat(left.get()).isBetween(1, 1000);
  }

  private static void await(CountDownLatch latch) {
    try {
      latch.await();
    } catch (InterruptedException e) {
      throw new IllegalStateException(e);
    }
  }

  @Test
  void littleWorkNeedsNoOtherThread() throws Exception {
    List<Thread> threads = Collections.synchronizedList(new ArrayList<>());

    SharedWork.over(runs(1000), share -> threads.add(Thread.currentThread()));
    SharedWork.over(List.of(), share -> threads.add(Thread.currentThread()));

    assertThat(threads).containsOnly(Thread.currentThread());
  }

  @Test
  void aShareThatFailsIsToldWhenTheOthersAreDone() {
    List<PageRun> runs = runs(50_000);
    AtomicInteger done = new AtomicInteger();

    assertThatThrownBy(
            () ->
                SharedWork.over(
                    runs,
                    share -> {
                      done.addAndGet(share.size());
                      if (share.contains(runs.get(49_999))) {
                        throw new ResolveException(
                            "a poison marker",
                            0x1000,
                            new FillResult(
                                FillResult.Outcome.UNREGISTERED, 0, Errno.EIO.intValue()));
                      }
                    }))
        .isInstanceOf(ResolveException.class);
    assertThat(done).hasValue(50_000);
  }

  @Test
  void whoeverIsInterruptedStillWaitsForTheOthers() throws Exception {
    AtomicInteger done = new AtomicInteger();
    Thread.currentThread().interrupt();

    SharedWork.over(
        runs(50_000),
        share -> {
          Thread.yield();
          done.addAndGet(share.size());
        });

    assertThat(Thread.interrupted()).isTrue();
    assertThat(done).hasValue(50_000);
  }
}
