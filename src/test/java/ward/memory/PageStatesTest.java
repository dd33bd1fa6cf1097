package ward.memory;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class PageStatesTest {

  private static final int PAGES = 200;

  /** Pages whose states lie together. */
  private static final long SEGMENT = 1L << 21;

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
  void theNextPageInOneOfSomeStatesIsTheOneThatALookAtEachFinds() {
    for (long seed = 0; seed < 20_000; seed++) {
      Random random = new Random(~seed);
      PageStates states = drawn(seed);
      long first = random.nextInt(PAGES + 1);
      long end = first + random.nextInt(PAGES + 1 - (int) first);
      int wanted = random.nextInt(16);
      long expected = first;
      while (expected < end && (wanted >>> states.get(expected) & 1) == 0) {
        expected++;
      }

      assertThat(states.next(first, end, wanted)).as("seed %d", seed).isEqualTo(expected);
    }
  }

  @ParameterizedTest
  @ValueSource(longs = {SEGMENT, 1L << 31, 1L << 32, 3 * (1L << 30)})
  void aRunMayCrossFromOneSegmentIntoTheNextHoweverHighItsNumbersAre(long border) {
    PageStates states = new PageStates(border + SEGMENT);

    long moved = states.moveLeading(border - 40, border + 40, 1, 2);

    assertThat(moved).isEqualTo(80);
    assertThat(states.get(border - 41)).isZero();
    assertThat(states.get(border - 40)).isEqualTo(2);
    assertThat(states.get(border + 39)).isEqualTo(2);
    assertThat(states.get(border + 40)).isZero();
    assertThat(states.next(0, border + SEGMENT, 1 << 2)).isEqualTo(border - 40);
    assertThat(states.next(border - 40, border + SEGMENT, ~(1 << 2))).isEqualTo(border + 40);
    assertThat(states.next(border + 40, border + SEGMENT, ~1)).isEqualTo(border + SEGMENT);
  }

  @Test
  void pagesWhoseNumbersDifferByAPowerOfTwoDoNotShareTheirBits() {
    long last = 3L << 30; // 12 TiB
    PageStates states = new PageStates(last + 1);

    for (long page = 1; page < last; page <<= 1) {
      states.compareAndSet(page, 0, 1 + Long.numberOfTrailingZeros(page) % 3);
    }
    states.compareAndSet(last, 0, 3);

    for (long page = 1; page < last; page <<= 1) {
      assertThat(states.get(page)).isEqualTo(1 + Long.numberOfTrailingZeros(page) % 3);
    }
    assertThat(states.get(last)).isEqualTo(3);
    assertThat(states.next(1L << 31, last, 0b1110)).isEqualTo(1L << 31);
    assertThat(states.next((1L << 31) + 1, last + 1, 0b1110)).isEqualTo(last);
  }

  @Test
  void aTableTakesMemoryWhereItsPagesHaveMovedAndNoMoreThanTwoBitsForEachOfThem() {
    PageStates large = new PageStates(3L << 30);
    PageStates small = new PageStates(100);

    assertThat(large.wordBytes()).isZero();
    large.compareAndSet((3L << 30) - 1, 0, 1);
    small.compareAndSet(99, 0, 1);

    assertThat(large.wordBytes()).isEqualTo(SEGMENT / 4);
    assertThat(small.wordBytes()).isEqualTo(4 * Long.BYTES);
  }

  @Test
  void aPageOutsideIsRefused() {
    PageStates states = new PageStates(100);

    assertThatThrownBy(() -> states.get(100))
        .isInstanceOf(IndexOutOfBoundsException.class)
        .hasMessageContaining("page 100 of 100");
    assertThatThrownBy(() -> states.compareAndSet(-1, 0, 1))
        .isInstanceOf(IndexOutOfBoundsException.class);
  }
}
