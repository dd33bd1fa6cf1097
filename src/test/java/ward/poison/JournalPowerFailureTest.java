package ward.poison;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/**
 * The power fails, or the disk does, at any moment: whatever was promised is there afterwards, and
 * whatever is there was reported by somebody.
 */
@Timeout(60)
class JournalPowerFailureTest {

  private static final Path PATH = Path.of("/var/lib/ward/journal");
  private static final int RUNS = 400;
  private static final int APPENDS = 12;

  /** Where a run is: what was promised, and what was asked for in vain or is on its way. */
  private static final class Run {
    final Random random;
    final SectorDisk disk;
    final List<PoisonEntry> promised = new ArrayList<>();
    final List<PoisonEntry> asked = new ArrayList<>();
    long next = 0x1000;

    Run(long seed) {
      random = new Random(seed);
      disk = new SectorDisk(random);
    }

    List<PoisonEntry> someNews() {
      List<PoisonEntry> news = new ArrayList<>();
      for (int i = random.nextInt(4) == 0 ? 1 + random.nextInt(20) : 1; i > 0; i--) {
        news.add(Losses.page(next));
        next += 0x1000 << random.nextInt(3);
      }
      return news;
    }

    /** One by one, or by what they have in common. */
    void append(List<PoisonEntry> news, LedgerJournal journal) throws LedgerException {
      if (random.nextBoolean()) {
        journal.append(news);
      } else {
        journal.append(PoisonMap.of(news));
      }
    }

    /** Answers whether the power came back to a ledger that can be read. */
    boolean checkAfterPowerFailure(String what) {
      byte[] left = disk.afterPowerFailure();
      PoisonLedger ledger;
      try {
        ledger = JournalReplay.of(PATH, left).ledger();
      } catch (LedgerException e) {
        // A batch that is longer than a sector may be half there in any order: refused, not
        // guessed.
        assertThat(e.kind()).isEqualTo(LedgerException.Kind.DAMAGED);
        assertThat(disk.unforcedSectors()).as(what).isGreaterThan(1);
        return false;
      }
      assertThat(ledger.entries()).as(what).containsAll(promised);
      assertThat(asked).as(what).containsAll(ledger.entries());
      return true;
    }
  }

  @Test
  void whatWasPromisedIsThereHoweverLittleOfTheRestReachedTheDisk() throws Exception {
    int readable = 0;
    int refused = 0;
    for (long seed = 1; seed <= RUNS; seed++) {
      Run run = new Run(seed);
      LedgerJournal journal = LedgerJournal.over(run.disk, () -> {}, PATH);
      String what = "seed " + seed;
      run.disk.onStep(() -> run.checkAfterPowerFailure(what));
      for (int i = 0; i < APPENDS; i++) {
        List<PoisonEntry> news = run.someNews();
        run.asked.addAll(news);
        run.append(news, journal);
        run.promised.addAll(news);
        if (run.checkAfterPowerFailure(what)) {
          readable++;
        } else {
          refused++;
        }
      }
    }
    assertThat(refused).as("after a promise nothing is on its way").isZero();
    assertThat(readable).isEqualTo(RUNS * APPENDS);
  }

  /**
   * A failing fsync leaves pages that the kernel calls clean and that never reached the disk; an
   * fsync after it succeeds and writes nothing.
   */
  @Test
  void noPromiseRestsOnAnFsyncThatSucceededAfterOneThatFailed() throws Exception {
    int failed = 0;
    for (long seed = 1; seed <= RUNS; seed++) {
      Run run = new Run(seed);
      LedgerJournal journal = LedgerJournal.over(run.disk, () -> {}, PATH);
      for (int i = 0; i < APPENDS; i++) {
        List<PoisonEntry> news = run.someNews();
        run.asked.addAll(news);
        run.disk.failNow(run.random.nextInt(3));
        try {
          run.append(news, journal);
          run.promised.addAll(news);
        } catch (LedgerException e) {
          failed++;
        }
        run.disk.failNow(SectorDisk.NOTHING);
        run.checkAfterPowerFailure("seed " + seed);
      }
      reopenAndCheck(run, seed);
    }
    assertThat(failed).isBetween(RUNS, RUNS * APPENDS);
  }

  /** Who opens it next sees the cache, and must not believe it. */
  private static void reopenAndCheck(Run run, long seed) throws IOException {
    LedgerJournal again = LedgerJournal.over(run.disk, () -> {}, PATH);
    run.promised.clear();
    run.promised.addAll(again.ledger().entries());

    assertThat(run.checkAfterPowerFailure("seed %d, opened again".formatted(seed))).isTrue();
  }
}
