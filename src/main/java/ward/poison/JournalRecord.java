package ward.poison;

import java.util.List;
import ward.memory.PageRun;

/** What one record of a journal says. */
sealed interface JournalRecord {

  /** Whose ledger it is. Written once. */
  record Guest(String name) implements JournalRecord {}

  /** A loss. */
  record Poison(PoisonEntry entry) implements JournalRecord {}

  /**
   * Losses that have everything in common but where they are.
   *
   * @param runs of extents by number, ascending and apart; as many as fit into a record
   */
  record Extents(Circumstances common, List<PageRun> runs) implements JournalRecord {

    PoisonMap losses() {
      PoisonMap losses = new PoisonMap();
      runs.forEach(run -> losses.add(common, run));
      return losses;
    }
  }

  /** Guest frames whose content the destination had copied before they were lost. */
  record Held(PageRun frames) implements JournalRecord {}

  /** Guest frames that were lost, and that the guest has given up since: they are fresh memory. */
  record GivenUp(PageRun frames) implements JournalRecord {}

  /** A hop that the guest has made on its way to this host. */
  record Left(Departure departure) implements JournalRecord {}
}
