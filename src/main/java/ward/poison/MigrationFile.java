package ward.poison;

import java.io.FileInputStream;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import ward.poison.LedgerException.Kind;

/**
 * The file {@code migration} beside a ledger: the one migration of the guest that is under way
 * here, or the last one that took the guest away.
 *
 * <p>It is replaced as a whole: after a crash it is the record before or the record after, never a
 * mixture. Whoever has it from {@link LedgerJournal#migrationFile()} holds the ledger's lock. Safe
 * for use by several threads.
 */
public final class MigrationFile {

  private static final String ADVICE =
      "find out where the guest runs, and remove the file only if it runs nowhere else";

  private final LedgerDirectory directory;
  private final String guest;
  private final Runnable requireLock;

  MigrationFile(LedgerDirectory directory, String guest, Runnable requireLock) {
    this.directory = directory;
    this.guest = guest;
    this.requireLock = requireLock;
  }

  /**
   * Reads the record of any guest, also while another process has the ledger.
   *
   * @param ledger its directory
   * @return empty if there is none
   * @throws LedgerException DAMAGED, IO
   */
  public static Optional<MigrationRecord> peek(Path ledger) throws LedgerException {
    return read(new LedgerDirectory(ledger).migration());
  }

  /**
   * @return empty if no migration has been recorded, or the last one left the guest whole here
   * @throws LedgerException DAMAGED; OTHER_GUEST naming both; IO
   */
  public Optional<MigrationRecord> read() throws LedgerException {
    Optional<MigrationRecord> record = read(directory.migration());
    if (record.isPresent() && !record.get().guest().equals(guest)) {
      throw new LedgerException(
          Kind.OTHER_GUEST,
          "%s is the record of a migration of guest \"%s\", not of \"%s\"; %s"
              .formatted(directory.migration(), record.get().guest(), guest, ADVICE));
    }
    return record;
  }

  private static Optional<MigrationRecord> read(Path path) throws LedgerException {
    if (!Files.exists(path)) {
      return Optional.empty();
    }
    try (FileInputStream file = new FileInputStream(path.toFile())) {
      byte[] bytes = file.readNBytes(MigrationFormat.BYTES_MAX + 1);
      return Optional.of(MigrationFormat.decode(bytes));
    } catch (IllegalArgumentException e) {
      throw new LedgerException(
          Kind.DAMAGED, "%s is damaged: %s; %s".formatted(path, e.getMessage(), ADVICE));
    } catch (IOException e) {
      throw LedgerException.io("read", path, e);
    }
  }

  /**
   * Replaces the record: on disk when this returns.
   *
   * @throws LedgerException IO: the record is the one before, or this one
   * @throws IllegalArgumentException if it is about another guest
   */
  public synchronized void write(MigrationRecord record) throws LedgerException {
    requireLock.run();
    if (!record.guest().equals(guest)) {
      throw new IllegalArgumentException(
          "a record about guest \"%s\" in the ledger of \"%s\"".formatted(record.guest(), guest));
    }
    try {
      directory.replaceMigration(MigrationFormat.encode(record));
    } catch (IOException e) {
      throw LedgerException.io("write", directory.migration(), e);
    }
  }

  /**
   * Forgets the migration: on disk when this returns. Nothing happens if there is no record.
   *
   * @throws LedgerException IO: the record may still be there
   */
  public synchronized void remove() throws LedgerException {
    requireLock.run();
    try {
      directory.removeMigration();
    } catch (IOException e) {
      throw LedgerException.io("remove", directory.migration(), e);
    }
  }
}
