package ward.memory;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import java.util.TreeSet;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.Combinators;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;

/** A set of pages and a plain set of numbers never disagree. */
class PageSetProperties {

  /** Near each other, and near where a part of the set ends and the next begins. */
  @Provide
  Arbitrary<List<PageRun>> runs() {
    Arbitrary<Long> base = Arbitraries.of(0L, 0xfff0L, (1L << 32) - 300, 3L << 32, (1L << 40) - 20);
    Arbitrary<Long> offset = Arbitraries.longs().between(0, 400);
    Arbitrary<Long> count = Arbitraries.longs().between(1, 120);
    return Combinators.combine(base, offset, count)
        .as((from, by, pages) -> new PageRun(from + by, pages))
        .list()
        .ofMaxSize(12);
  }

  private static PageSet setOf(List<PageRun> runs) {
    PageSet set = new PageSet();
    runs.forEach(set::add);
    return set;
  }

  private static TreeSet<Long> numbersOf(List<PageRun> runs) {
    TreeSet<Long> numbers = new TreeSet<>();
    for (PageRun run : runs) {
      for (long page = run.firstPage(); page < run.endPage(); page++) {
        numbers.add(page);
      }
    }
    return numbers;
  }

  private static void assertSame(PageSet set, TreeSet<Long> numbers) {
    List<Long> pages = new ArrayList<>();
    set.forEach(pages::add);
    List<PageRun> runs = new ArrayList<>();
    set.forEachRun(runs::add);
    assertThat(pages).containsExactlyElementsOf(numbers);
    assertThat(numbersOf(runs)).isEqualTo(numbers);
    for (int i = 1; i < runs.size(); i++) {
      assertThat(runs.get(i).firstPage()).isGreaterThan(runs.get(i - 1).endPage());
    }
    assertThat(set.size()).isEqualTo(numbers.size());
    assertThat(set.isEmpty()).isEqualTo(numbers.isEmpty());
    if (!numbers.isEmpty()) {
      assertThat(set.first()).isEqualTo(numbers.first());
    }
  }

  @Property(tries = 300)
  void runsAreAddedAsPagesAre(@ForAll("runs") List<PageRun> runs) {
    PageSet pageByPage = new PageSet();
    numbersOf(runs).forEach(pageByPage::add);

    assertSame(setOf(runs), numbersOf(runs));
    assertSame(pageByPage, numbersOf(runs));
    assertThat(pageByPage).isEqualTo(setOf(runs)).hasSameHashCodeAs(setOf(runs));
  }

  @Property(tries = 300)
  void setsAreJoinedCutAndTakenAwayAsNumbersAre(
      @ForAll("runs") List<PageRun> here, @ForAll("runs") List<PageRun> there) {
    PageSet union = setOf(here);
    union.addAll(setOf(there));
    PageSet common = setOf(here);
    common.retainAll(setOf(there));
    PageSet rest = setOf(here);
    rest.removeAll(setOf(there));
    TreeSet<Long> unionNumbers = numbersOf(here);
    unionNumbers.addAll(numbersOf(there));
    TreeSet<Long> commonNumbers = numbersOf(here);
    commonNumbers.retainAll(numbersOf(there));
    TreeSet<Long> restNumbers = numbersOf(here);
    restNumbers.removeAll(numbersOf(there));

    assertSame(union, unionNumbers);
    assertSame(common, commonNumbers);
    assertSame(rest, restNumbers);
  }

  @Property(tries = 200)
  void aPageThatIsTakenOutIsGoneAndACopyKeepsIt(@ForAll("runs") List<PageRun> runs) {
    PageSet set = setOf(runs);
    PageSet copy = set.copy();
    TreeSet<Long> numbers = numbersOf(runs);
    for (Long page : List.copyOf(numbers)) {
      if (page % 3 == 0) {
        set.remove(page);
        numbers.remove(page);
        assertThat(set.contains(page)).isFalse();
        assertThat(copy.contains(page)).isTrue();
      }
    }

    assertSame(set, numbers);
    assertSame(copy, numbersOf(runs));
  }
}
