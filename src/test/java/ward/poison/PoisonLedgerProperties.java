package ward.poison;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Random;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.Combinators;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;
import ward.memory.PageSet;
import ward.poison.Origin.Discovery;

/** Laws that hold for every sequence of losses. */
class PoisonLedgerProperties {

  @Provide
  Arbitrary<PoisonEntry> entry() {
    // Few addresses and large extents, so that they overlap often.
    Arbitrary<Integer> shift = Arbitraries.integers().between(12, 16);
    Arbitrary<Long> block = Arbitraries.longs().between(0, 40);
    return Combinators.combine(shift, block, Arbitraries.of(Severity.class), origin())
        .as((s, b, severity, origin) -> new PoisonEntry(b << s, s, severity, origin));
  }

  private Arbitrary<Origin> origin() {
    Arbitrary<String> host = Arbitraries.of("host-a", "b", "hôte-ç", "主机");
    Arbitrary<Instant> time = Arbitraries.longs().between(-1, 5).map(Instant::ofEpochMilli);
    return Combinators.combine(host, time, Arbitraries.of(Discovery.class)).as(Origin::new);
  }

  @Provide
  Arbitrary<List<PoisonEntry>> losses() {
    return entry().list().ofMaxSize(30);
  }

  @Provide
  Arbitrary<PageSet> frames() {
    return Arbitraries.longs()
        .between(0, 700)
        .set()
        .ofMaxSize(200)
        .map(PoisonLedgerProperties::setOf);
  }

  private static PageSet setOf(Iterable<Long> pages) {
    PageSet set = new PageSet();
    pages.forEach(set::add);
    return set;
  }

  private static PoisonLedger ledgerOf(List<PoisonEntry> entries) {
    PoisonLedger ledger = new PoisonLedger();
    entries.forEach(ledger::record);
    return ledger;
  }

  @Property
  void appliedTwiceIsAppliedOnce(@ForAll("losses") List<PoisonEntry> losses) {
    PoisonLedger once = ledgerOf(losses);
    PoisonLedger twice = ledgerOf(losses);

    losses.forEach(entry -> assertThat(twice.record(entry)).isFalse());

    assertThat(twice.entries()).isEqualTo(once.entries());
    assertThat(twice.frames()).isEqualTo(once.frames());
  }

  @Property
  void theOrderOfRecordsDoesNotChangeTheDigest(
      @ForAll("losses") List<PoisonEntry> losses, @ForAll Random random) {
    List<PoisonEntry> shuffled = new ArrayList<>(losses);
    Collections.shuffle(shuffled, random);

    assertThat(ledgerOf(shuffled).digest()).isEqualTo(ledgerOf(losses).digest());
    assertThat(ledgerOf(shuffled).difference(ledgerOf(losses)).isEmpty()).isTrue();
  }

  @Property
  void aPageIsLostExactlyIfAnEntryCoversIt(@ForAll("losses") List<PoisonEntry> losses) {
    PoisonLedger ledger = ledgerOf(losses);

    for (long address = 0; address < 41L << 16; address += 0x1000) {
      assertThat(ledger.contains(address)).isEqualTo(isCovered(losses, address));
    }
  }

  private static boolean isCovered(List<PoisonEntry> losses, long address) {
    return losses.stream()
        .anyMatch(
            entry ->
                address >>> entry.pageShift()
                    == entry.guestPhysicalAddress() >>> entry.pageShift());
  }

  @Property
  void heldAndLostNeverOverlapAndTogetherStayTheSame(
      @ForAll("losses") List<PoisonEntry> losses, @ForAll("frames") PageSet held) {
    PoisonLedger ledger = ledgerOf(losses);
    PageSet before = ledger.frames();

    ledger.markHeld(held);

    PageSet together = ledger.frames();
    together.addAll(ledger.heldFrames());
    assertThat(together).isEqualTo(before);
    assertThat(ledger.frames().size() + ledger.heldFrames().size()).isEqualTo(before.size());
  }

  @Property
  void whatIsNewsInABatchIsWhatIsNewsOneByOne(
      @ForAll("losses") List<PoisonEntry> first,
      @ForAll("frames") PageSet held,
      @ForAll("losses") List<PoisonEntry> batch) {
    PoisonLedger ledger = ledgerOf(first);
    ledger.markHeld(held);

    List<PoisonEntry> foreseen = ledger.newsAmong(batch);

    assertThat(foreseen).isEqualTo(batch.stream().filter(ledger::record).toList());
  }

  @Property
  void aJournalReplaysToTheSameLedger(
      @ForAll("losses") List<PoisonEntry> first,
      @ForAll("frames") PageSet held,
      @ForAll("losses") List<PoisonEntry> second)
      throws Exception {
    FakeDisk disk = new FakeDisk();
    LedgerJournal journal = LedgerJournal.over(disk, () -> {}, Path.of("journal"));
    journal.append(first);
    journal.appendHeld(held);
    journal.append(second);

    PoisonLedger replayed = JournalReplay.of(Path.of("journal"), disk.read()).ledger();

    assertThat(replayed.entries()).isEqualTo(journal.ledger().entries());
    assertThat(replayed.frames()).isEqualTo(journal.ledger().frames());
    assertThat(replayed.heldFrames()).isEqualTo(journal.ledger().heldFrames());
  }
}
