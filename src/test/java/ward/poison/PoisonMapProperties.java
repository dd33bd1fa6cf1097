package ward.poison;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Random;
import java.util.TreeSet;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.Combinators;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;
import ward.memory.PageSet;
import ward.poison.Origin.Discovery;

/** What holds for every collection of losses, told one by one or by what they have in common. */
class PoisonMapProperties {

  @Provide
  Arbitrary<List<PoisonEntry>> losses() {
    Arbitrary<Integer> shift = Arbitraries.of(12, 12, 13, 15);
    Arbitrary<Long> block = Arbitraries.longs().between(0, 60);
    Arbitrary<Origin> origin =
        Combinators.combine(Arbitraries.of("a", "b"), Arbitraries.of(Discovery.class))
            .as((host, discovery) -> new Origin(host, Instant.EPOCH, discovery));
    return Combinators.combine(shift, block, Arbitraries.of(Severity.class), origin)
        .as((s, b, severity, from) -> new PoisonEntry(b << s, s, severity, from))
        .list()
        .ofMaxSize(40);
  }

  @Provide
  Arbitrary<PageSet> frames() {
    return Arbitraries.longs()
        .between(0, 500)
        .set()
        .ofMaxSize(150)
        .map(
            pages -> {
              PageSet set = new PageSet();
              pages.forEach(set::add);
              return set;
            });
  }

  @Property
  void aMapListsEachLossOnceInOrder(@ForAll("losses") List<PoisonEntry> losses) {
    TreeSet<PoisonEntry> expected = new TreeSet<>(PoisonMap.IN_ORDER);
    expected.addAll(losses);

    PoisonMap map = PoisonMap.of(losses);

    assertThat(map.entries()).containsExactlyElementsOf(expected);
    assertThat(map.size()).isEqualTo(expected.size());
  }

  @Property
  void theOrderInWhichLossesCameCannotBeSeen(
      @ForAll("losses") List<PoisonEntry> losses, @ForAll Random random) {
    List<PoisonEntry> shuffled = new ArrayList<>(losses);
    Collections.shuffle(shuffled, random);

    assertThat(PoisonMap.of(shuffled)).isEqualTo(PoisonMap.of(losses));
  }

  @Property
  void aMapLosesWhatItsEntriesLose(@ForAll("losses") List<PoisonEntry> losses) {
    PoisonLedger ledger = new PoisonLedger();
    losses.forEach(ledger::record);

    assertThat(PoisonMap.of(losses).frames()).isEqualTo(ledger.frames());
  }

  @Property
  void withoutSomeFramesEveryOtherStaysLostAndNoneOfThem(
      @ForAll("losses") List<PoisonEntry> losses, @ForAll("frames") PageSet some) {
    PoisonMap map = PoisonMap.of(losses);
    PageSet expected = map.frames();
    expected.removeAll(some);

    PoisonMap rest = map.without(some);

    assertThat(rest.frames()).isEqualTo(expected);
    assertThat(rest.entries().stream().filter(entry -> entry.pageShift() > 12).toList())
        .as("what is whole stays whole")
        .isSubsetOf(losses);
    assertThat(map).isEqualTo(PoisonMap.of(losses));
  }

  /** What is listed may differ where losses overlap; what is lost must not. */
  @Property
  void aLedgerLearnsTheSameFromAMapAsFromAList(
      @ForAll("losses") List<PoisonEntry> before,
      @ForAll("frames") PageSet held,
      @ForAll("losses") List<PoisonEntry> losses) {
    PoisonLedger one = new PoisonLedger();
    before.forEach(one::record);
    one.markHeld(held);
    PoisonLedger other = new PoisonLedger();
    before.forEach(other::record);
    other.markHeld(held);
    losses.forEach(one::record);

    PoisonMap news = other.newsAmong(PoisonMap.of(losses));
    other.record(news);

    assertThat(other.frames()).isEqualTo(one.frames());
    assertThat(other.heldFrames()).isEqualTo(one.heldFrames());
    assertThat(other.digest()).isEqualTo(one.digest());
    assertThat(other.newsAmong(PoisonMap.of(losses)).isEmpty()).isTrue();
    news.entries().forEach(entry -> assertThat(losses).contains(entry));
  }

  @Property
  void aJournalReplaysMapsAndEntriesToTheSameLedger(
      @ForAll("losses") List<PoisonEntry> first,
      @ForAll("frames") PageSet held,
      @ForAll("losses") List<PoisonEntry> second)
      throws Exception {
    FakeDisk disk = new FakeDisk();
    LedgerJournal journal = LedgerJournal.over(disk, () -> {}, Path.of("journal"));
    journal.append(first);
    journal.appendHeld(held);
    journal.append(PoisonMap.of(second));

    PoisonLedger replayed = JournalReplay.of(Path.of("journal"), disk.read()).ledger();

    assertThat(replayed.entries()).isEqualTo(journal.ledger().entries());
    assertThat(replayed.frames()).isEqualTo(journal.ledger().frames());
    assertThat(replayed.heldFrames()).isEqualTo(journal.ledger().heldFrames());
  }
}
