package ward.poison;

import ward.memory.PageRun;

/** What one record of a journal says. */
sealed interface JournalRecord {

  /** Whose ledger it is. Written once. */
  record Guest(String name) implements JournalRecord {}

  /** A loss. */
  record Poison(PoisonEntry entry) implements JournalRecord {}

  /** Guest frames whose content the destination had copied before they were lost. */
  record Held(PageRun frames) implements JournalRecord {}

  /** Guest frames that were lost, and that the guest has given up since: they are fresh memory. */
  record GivenUp(PageRun frames) implements JournalRecord {}

  /** A hop that the guest has made on its way to this host. */
  record Left(Departure departure) implements JournalRecord {}
}
