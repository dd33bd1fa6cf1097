package ward.memory;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class PageSetTest {

  private final PageSet set = new PageSet();

  private static List<PageRun> runsOf(PageSet set) {
    List<PageRun> runs = new ArrayList<>();
    set.forEachRun(runs::add);
    return runs;
  }

  private static PageSet of(long... pages) {
    PageSet set = new PageSet();
    for (long page : pages) {
      set.add(page);
    }
    return set;
  }

  @Test
  void isEmptyAtFirst() {
    assertThat(set.isEmpty()).isTrue();
    assertThat(set.size()).isZero();
    assertThat(runsOf(set)).isEmpty();
  }

  @Test
  void joinsNeighboursIntoTheFewestRuns() {
    set.add(7);
    set.add(5);
    set.add(6);
    set.add(9);

    assertThat(runsOf(set)).containsExactly(new PageRun(5, 3), new PageRun(9, 1));
  }

  @Test
  void keepsRunsWholeAcrossTheBordersOfItsCompression() {
    set.add(new PageRun((1L << 16) - 2, 4));
    set.add(new PageRun((1L << 32) - 2, 4));

    assertThat(runsOf(set)).containsExactly(new PageRun(0xfffe, 4), new PageRun((1L << 32) - 2, 4));
  }

  @Test
  void holdsThePagesOfSixteenTebibytes() {
    set.add(new PageRun(0, 1L << 32));

    assertThat(set.size()).isEqualTo(1L << 32);
    assertThat(set.contains((1L << 32) - 1)).isTrue();
    assertThat(set.contains(1L << 32)).isFalse();
  }

  @Test
  void equalsASetOfTheSamePagesHoweverTheyCame() {
    set.add(new PageRun(100, 5000));
    PageSet oneByOne = new PageSet();
    for (long page = 5099; page >= 100; page--) {
      oneByOne.add(page);
    }
    PageSet carved = new PageSet();
    carved.add(new PageRun(0, 70_000));
    carved.removeAll(without(new PageRun(0, 70_000), new PageRun(100, 5000)));

    assertThat(oneByOne).isEqualTo(set).hasSameHashCodeAs(set);
    assertThat(carved).isEqualTo(set).hasSameHashCodeAs(set);
  }

  private static PageSet without(PageRun whole, PageRun part) {
    PageSet rest = new PageSet();
    rest.add(new PageRun(whole.firstPage(), part.firstPage() - whole.firstPage()));
    rest.add(new PageRun(part.endPage(), whole.endPage() - part.endPage()));
    return rest;
  }

  @Test
  void takesOutOnePageOrAWholeSet() {
    set.add(new PageRun(1, 5));

    set.remove(2);
    set.removeAll(of(4, 5, 99));

    assertThat(set).isEqualTo(of(1, 3));
  }

  @Test
  void keepsOnlyWhatAnotherSetHasToo() {
    set.add(new PageRun(1, 5));

    set.retainAll(of(2, 5, 6));

    assertThat(set).isEqualTo(of(2, 5));
  }

  @Test
  void isNotEqualToASetWithAnotherPage() {
    set.add(new PageRun(1, 5));

    assertThat(set).isNotEqualTo(of(1, 2, 3, 4, 6)).isNotEqualTo(of(1, 2, 3, 4));
  }

  @Test
  void printsItsSizeAndItsFirstRunsOnly() {
    set.add(new PageRun(5, 3));
    set.add(9);
    assertThat(set).hasToString("4 pages {5..7, 9}");

    for (long page = 20; page < 60; page += 2) {
      set.add(page);
    }
    assertThat(set.toString()).isEqualTo("24 pages {5..7, 9, 20, 22, 24, 26, 28, 30, ...}");
  }

  @Test
  void aCopyChangesOnItsOwn() {
    set.add(1);
    PageSet copy = set.copy();

    copy.add(2);
    set.remove(1);

    assertThat(copy).isEqualTo(of(1, 2));
    assertThat(set.isEmpty()).isTrue();
  }

  @Test
  void visitsEveryPageAscending() {
    set.addAll(of(9, 1, 5));
    List<Long> seen = new ArrayList<>();

    set.forEach(seen::add);

    assertThat(seen).containsExactly(1L, 5L, 9L);
  }

  @Test
  void aRunKnowsItsEndAndRefusesToBeEmptyOrNegative() {
    assertThat(new PageRun(3, 4).endPage()).isEqualTo(7);
    assertThatThrownBy(() -> new PageRun(3, 0)).hasMessage("a run of 0 pages from page 3");
    assertThatThrownBy(() -> new PageRun(-1, 1)).hasMessage("a run of 1 pages from page -1");
    assertThatThrownBy(() -> new PageRun(Long.MAX_VALUE, 1))
        .isInstanceOf(IllegalArgumentException.class);
  }

  @ParameterizedTest
  @ValueSource(longs = {0, 65_536, 1L << 31, 1L << 32, 1L << 40})
  void countsThePagesFromOneOnThatItHasOrHasNot(long border) {
    PageSet set = new PageSet();
    set.add(new PageRun(border + 100, 70_000));
    set.add(border + 70_200);

    assertThat(set.leading(border, 1000, false)).isEqualTo(100);
    assertThat(set.leading(border + 10, 50, false)).isEqualTo(50);
    assertThat(set.leading(border, 1000, true)).isZero();
    assertThat(set.leading(border + 100, 100_000, true)).isEqualTo(70_000);
    assertThat(set.leading(border + 70_100, 1000, false)).isEqualTo(100);
    assertThat(set.leading(border + 70_201, 1000, false)).isEqualTo(1000);
  }

  @Test
  void aRunAcrossFourBillionIsOneRunAndItsPartsGoOneByOne() {
    PageSet set = new PageSet();
    long border = 1L << 32;
    set.add(new PageRun(border - 3, 6));

    set.remove(border - 1);
    List<PageRun> runs = new ArrayList<>();
    set.forEachRun(runs::add);

    assertThat(runs).containsExactly(new PageRun(border - 3, 2), new PageRun(border, 3));
    assertThat(set.size()).isEqualTo(5);
  }
}
