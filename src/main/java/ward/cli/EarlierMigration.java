package ward.cli;

import java.util.Optional;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import ward.poison.LedgerException;
import ward.poison.LedgerJournal;
import ward.poison.MigrationRecord;

/** What a ledger tells a source of a migration that a process before it has begun. */
final class EarlierMigration {

  private static final Logger log = LoggerFactory.getLogger("ward.source");

  private static final String OVERRIDE =
      "if that is known to be over, --new-session starts from this memory";

  private final Optional<MigrationRecord> record;

  private EarlierMigration(Optional<MigrationRecord> record) {
    this.record = record;
  }

  /**
   * @param forget whether the operator has said that it is of no account
   * @throws CommandFailure INPUT_REFUSED if the record is damaged or of another guest, HOST_REFUSED
   *     if it cannot be read
   */
  static EarlierMigration of(LedgerJournal journal, boolean forget) {
    try {
      if (forget) {
        log.warn("--new-session: what the ledger told of a migration is forgotten");
        journal.migrationFile().remove();
      }
      return new EarlierMigration(journal.migrationFile().read());
    } catch (LedgerException e) {
      throw new CommandFailure(Ledgers.exitCodeFor(e), e.getMessage());
    }
  }

  /**
   * The session that has to go on; empty if the guest is whole here.
   *
   * @param run whether the guest is to run here
   * @throws CommandFailure INPUT_REFUSED if the guest is elsewhere, or may be
   */
  Optional<MigrationRecord> toGoOnWith(boolean run) {
    if (record.isEmpty()) {
      return record;
    }
    return switch (record.get().stage()) {
      case OFFERED, COMPLETE -> Optional.empty();
      case MAP_APPLIED, RESUMED -> underWay(record.get(), run);
      case HANDED_OVER ->
          throw refusal(
              "the guest was handed over to %s at %s: this copy is stale, and must not run or be moved",
              record.get());
    };
  }

  private static Optional<MigrationRecord> underWay(MigrationRecord record, boolean run) {
    if (record.role() == MigrationRecord.Role.DESTINATION) {
      throw refusal(
          "the guest is on its way to this host, from %s since %s: its pages are not all here",
          record);
    }
    if (run) {
      throw refusal(
          "--run: the guest may run at %s since %s, where its pages are still fetched from here; start without --run to go on serving it",
          record);
    }
    log.info("going on with session {} for {}", record.session(), record.peer());
    return Optional.of(record);
  }

  private static CommandFailure refusal(String what, MigrationRecord record) {
    return new CommandFailure(
        ExitCode.INPUT_REFUSED, what.formatted(record.peer(), record.time()) + "; " + OVERRIDE);
  }
}
