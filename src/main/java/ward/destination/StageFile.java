package ward.destination;

import java.time.Instant;
import java.util.Map;
import java.util.Optional;
import java.util.UUID;
import ward.memory.MemoryIdentity;
import ward.poison.LedgerException;
import ward.poison.MigrationFile;
import ward.poison.MigrationRecord;
import ward.poison.MigrationRecord.Role;
import ward.poison.MigrationRecord.Stage;

/**
 * Where a session writes down what the next process must know if this one dies: on disk before
 * anyone acts on it. A guest that lives in this process would die with it, and nothing is written.
 *
 * <p>Confined to the session's thread.
 */
final class StageFile {

  private static final String OWNER = "memory-owner";
  private static final String SOURCE = "source";
  private static final String LOST = "lost";

  private MigrationFile file; // null: nothing is written
  private String home = "";
  private String peer = "";
  private MigrationRecord record; // null before the poison map is applied
  private Optional<MigrationRecord> departed = Optional.empty(); // how the guest once left here

  /**
   * The guest is to live in another process: from now on it is written down.
   *
   * @param home identity of the process that owns the memory
   * @param peer the source, for people
   */
  void keepIn(MigrationFile file, String home, String peer) {
    this.file = file;
    this.home = home;
    this.peer = peer;
  }

  /**
   * The session that a process before this one has left in the middle, or at the end.
   *
   * @param hasRun whether the guest has run in this home
   * @return empty if a session may begin
   * @throws InheritanceException if neither is possible
   */
  Optional<MigrationRecord> inherited(boolean hasRun) throws LedgerException, InheritanceException {
    Optional<MigrationRecord> all = file.read();
    departed = all.filter(any -> any.role() == Role.SOURCE);
    Optional<MigrationRecord> found = all.filter(StageFile::isArrival);
    boolean sameHome = found.map(left -> home.equals(left.details().get(OWNER))).orElse(false);
    if (found.isPresent() && sameHome) {
      record = found.get();
      return found;
    }
    if (hasRun) {
      throw new InheritanceException(
          "the guest has run in the memory's owner (%s), and the ledger here knows of no migration that brought it there; use the ledger of the daemon that did"
              .formatted(home));
    }
    if (found.isPresent() && found.get().stage() != Stage.COMPLETE) {
      throw new InheritanceException(
          "the ledger's last migration (session %s, %s since %s) brought the guest to another process (%s), and was not complete: the guest may have run there. Find out what became of it, and remove the file `migration` of the ledger's directory if it is gone for good"
              .formatted(
                  found.get().session(),
                  found.get().stage(),
                  found.get().time(),
                  found.get().details().get(OWNER)));
    }
    return Optional.empty();
  }

  private static boolean isArrival(MigrationRecord record) {
    return record.role() == Role.DESTINATION && record.stage() != Stage.OFFERED;
  }

  /**
   * The whole poison map is in place; the source is about to hear it.
   *
   * @param offered what the source has to serve, also after a break
   */
  void mapApplied(MemoryIdentity offered, UUID session, int attempt) throws LedgerException {
    if (file != null) {
      write(
          new MigrationRecord(
              Role.DESTINATION,
              offered.layout().guest(),
              session,
              attempt,
              Stage.MAP_APPLIED,
              peer,
              Instant.now(),
              Optional.of(offered),
              Map.of(OWNER, home)));
    }
  }

  /** The guest is about to run. */
  void resumed() throws LedgerException {
    enter(Stage.RESUMED);
  }

  /**
   * Whatever has not arrived is about to be taken for lost: from now on the source is not asked.
   */
  void sourceLost() throws LedgerException {
    if (record != null) {
      write(record.with(SOURCE, LOST));
    }
  }

  /** Whether that was decided, perhaps by a process before this one. */
  boolean isSourceLost() {
    return record != null && LOST.equals(record.details().get(SOURCE));
  }

  /** Every page is here, and the source has let go or is lost. */
  void complete() throws LedgerException {
    enter(Stage.COMPLETE);
  }

  private void enter(Stage stage) throws LedgerException {
    if (record != null) {
      write(record.at(stage, Instant.now()));
    }
  }

  /** An attempt is about to be made. */
  void attempt(int number) throws LedgerException {
    if (record != null) {
      write(record.inAttempt(number));
    }
  }

  /** The guest never ran here, and stays at the source; what was known before is true again. */
  void aborted() throws LedgerException {
    if (record != null) {
      record = null;
      if (departed.isPresent()) {
        file.write(departed.get());
      } else {
        file.remove();
      }
    }
  }

  private void write(MigrationRecord next) throws LedgerException {
    file.write(next);
    record = next;
  }
}
