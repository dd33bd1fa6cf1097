package ward.memory;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(60)
class PageStatesRunsTest {

  private static final int PAGES = 2000;

  /** Pages at random, so that every kind of word occurs. */
  private static PageStates drawn(Random random) {
    PageStates states = new PageStates(PAGES);
    int kind = random.nextInt(3);
    for (int page = 0; page < PAGES; page++) {
      int state = kind == 0 ? 0 : kind == 1 ? random.nextInt(4) : random.nextInt(20) / 17;
      states.compareAndSet(page, 0, state);
    }
    return states;
  }

  private static PageStates copyOf(PageStates states) {
    PageStates copy = new PageStates(PAGES);
    for (int page = 0; page < PAGES; page++) {
      copy.compareAndSet(page, 0, states.get(page));
    }
    return copy;
  }

  @Test
  void aRunIsMovedAsItsPagesAreOneByOne() {
    for (long seed = 0; seed < 500; seed++) {
      Random random = new Random(seed);
      PageStates states = drawn(random);
      PageStates oneByOne = copyOf(states);
      int first = random.nextInt(PAGES);
      PageRun run = new PageRun(first, 1 + random.nextInt(Math.min(200, PAGES - first)));
      int expected = random.nextInt(16);
      int next = random.nextInt(4);
      List<PageRun> moved = new ArrayList<>();

      states.compareAndSetAll(run, expected, next, moved::add);

      PageSet movedOneByOne = new PageSet();
      for (long page = run.firstPage(); page < run.endPage(); page++) {
        int state = oneByOne.get(page);
        if ((expected >>> state & 1) != 0) {
          oneByOne.compareAndSet(page, state, next);
          movedOneByOne.add(page);
        }
      }
      List<PageRun> runs = new ArrayList<>();
      movedOneByOne.forEachRun(runs::add);
      assertThat(moved).as("seed %d", seed).isEqualTo(runs);
      for (int page = 0; page < PAGES; page++) {
        assertThat(states.get(page))
            .as("seed %d, page %d", seed, page)
            .isEqualTo(oneByOne.get(page));
      }
    }
  }

  @Test
  void aRunMayReachOverSegments() {
    long boundary = 1L << 19;
    PageStates states = new PageStates(2 * boundary);
    List<PageRun> moved = new ArrayList<>();

    states.compareAndSetAll(new PageRun(boundary - 40, 80), 1, 3, moved::add);

    assertThat(moved).containsExactly(new PageRun(boundary - 40, 80));
    assertThat(states.get(boundary - 41)).isZero();
    assertThat(states.get(boundary - 1)).isEqualTo(3);
    assertThat(states.get(boundary + 39)).isEqualTo(3);
    assertThat(states.get(boundary + 40)).isZero();
  }

  /** Two threads over the same pages, one by runs and one by single pages, win each page once. */
  @Test
  void ofSeveralThreadsOneMovesAPage() throws Exception {
    for (int round = 0; round < 50; round++) {
      PageStates states = new PageStates(PAGES);
      AtomicLong byRun = new AtomicLong();
      AtomicLong bySingle = new AtomicLong();
      Thread runs =
          new Thread(
              () -> {
                for (int page = 0; page < PAGES; page += 50) {
                  states.compareAndSetAll(
                      new PageRun(page, 50), 1, 3, run -> byRun.addAndGet(run.pageCount()));
                }
              });
      runs.start();
      for (int page = PAGES - 1; page >= 0; page--) {
        bySingle.addAndGet(states.compareAndSet(page, 0, 2) ? 1 : 0);
      }
      runs.join();

      assertThat(byRun.get() + bySingle.get()).isEqualTo(PAGES);
      long twos =
          java.util.stream.IntStream.range(0, PAGES).filter(p -> states.get(p) == 2).count();
      assertThat(twos).isEqualTo(bySingle.get());
    }
  }
}
