package ward.destination;

import java.io.IOException;
import java.util.Optional;
import ward.poison.LedgerJournal;
import ward.poison.MigrationRecord;
import ward.uffd.MarkerScan;

/**
 * What a process before this one has left of a migration: in a home that has outlived it, and in
 * the ledger.
 *
 * <p>Confined to the session's thread.
 */
final class Inheritance {

  private final GuestHome home;
  private final HostLedger ledger;
  private final StageFile stages;
  private final MarkerScan scan;

  Inheritance(GuestHome home, HostLedger ledger, StageFile stages, MarkerScan scan) {
    this.home = home;
    this.ledger = ledger;
    this.stages = stages;
    this.scan = scan;
  }

  /**
   * Looks, and changes nothing. From now on the session's own stages are written down.
   *
   * @param source the present one, for people
   * @return the session to go on with; empty if the home is empty too
   * @throws InheritanceException if memory and ledger contradict each other
   */
  Optional<MigrationRecord> find(String source) throws IOException {
    LedgerJournal journal = open();
    stages.keepIn(journal.migrationFile(), home.identity(), source);
    Optional<MigrationRecord> left = stages.inherited(home.hasRun());
    if (left.isEmpty()) {
      requireEmpty(journal);
    }
    return left;
  }

  private LedgerJournal open() throws IOException {
    return ledger.open(home.guest().memory().layout().guest());
  }

  private void requireEmpty(LedgerJournal journal) throws IOException {
    InheritedPages.of(home.guest().memory(), scan, journal.ledger(), home.givenBack(), false);
  }

  /** Whether the process before this one has given the source up. */
  boolean isSourceLost() {
    return stages.isSourceLost();
  }

  /** The guest, with the pages that it has. */
  Inherited moveInto(IncomingMap.Arrivals arrivals) throws IOException {
    Arrival arrival = arrivals.begin(home.guest(), open());
    return new Inherited(arrival, arrival.inherit(scan, home.givenBack()));
  }

  /**
   * @param found in the memory, for people
   */
  record Inherited(Arrival arrival, String found) {}
}
