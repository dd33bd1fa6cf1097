package ward.memory;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Random;
import org.junit.jupiter.api.Test;

class PageStatesTest {

  private static final int PAGES = 200;

  /** One page at a time, as the run is meant. */
  private static long oneByOne(PageStates states, long first, long end, int expected, int next) {
    long page = first;
    while (page < end && (expected >>> states.get(page) & 1) != 0) {
      states.compareAndSet(page, states.get(page), next);
      page++;
    }
    return page - first;
  }

  private static PageStates drawn(long seed) {
    Random random = new Random(seed);
    PageStates states = new PageStates(PAGES);
    for (int page = 0; page < PAGES; page++) {
      // Long runs of few states, so that whole words are moved too.
      int state = random.nextInt(40) == 0 ? random.nextInt(4) : (int) (seed & 1);
      states.compareAndSet(page, 0, state);
    }
    return states;
  }

  @Test
  void aRunIsMovedAsItsPagesAreOneByOne() {
    for (long seed = 0; seed < 20_000; seed++) {
      Random random = new Random(~seed);
      long first = random.nextInt(PAGES);
      long end = first + random.nextInt(PAGES + 1 - (int) first);
      int expected = random.nextInt(16);
      int next = random.nextInt(4);
      PageStates inRuns = drawn(seed);
      PageStates single = drawn(seed);

      long moved = inRuns.moveLeading(first, end, expected, next);

      assertThat(moved).as("seed %d", seed).isEqualTo(oneByOne(single, first, end, expected, next));
      for (int page = 0; page < PAGES; page++) {
        assertThat(inRuns.get(page)).as("seed %d, page %d", seed, page).isEqualTo(single.get(page));
      }
    }
  }

  @Test
  void aRunMayCrossFromOneSegmentIntoTheNext() {
    long border = 1L << 19;
    PageStates states = new PageStates(2 * border);

    long moved = states.moveLeading(border - 40, border + 40, 1, 2);

    assertThat(moved).isEqualTo(80);
    assertThat(states.get(border - 41)).isZero();
    assertThat(states.get(border - 40)).isEqualTo(2);
    assertThat(states.get(border + 39)).isEqualTo(2);
    assertThat(states.get(border + 40)).isZero();
  }
}
