package ward.source;

import java.io.IOException;
import java.time.Clock;
import java.util.Map;
import java.util.Optional;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import ward.memory.MemoryIdentity;
import ward.poison.LedgerException;
import ward.poison.MigrationFile;
import ward.poison.MigrationRecord;
import ward.poison.MigrationRecord.Stage;
import ward.wire.ControlMessage.Hello;

/**
 * What a session leaves on disk for a process that goes on after the death of this one: each stage
 * is written before anybody is told of it. Without that a source that is started again could run a
 * guest that runs elsewhere.
 *
 * <p>Confined to the session's thread.
 */
final class MigrationBook {

  private static final Logger log = LoggerFactory.getLogger(MigrationBook.class);
  private static final String MEMORY_FILE = "memory";

  private final MigrationFile file;
  private final ServedMemory memory;
  private final Clock clock;
  private MigrationRecord record; // null while nobody has come

  MigrationBook(MigrationFile file, ServedMemory memory, Clock clock) {
    this.file = file;
    this.memory = memory;
    this.clock = clock;
  }

  /** Somebody comes for the guest, which is still here. */
  void offered(Hello peer, String address) throws IOException {
    write(
        new MigrationRecord(
                MigrationRecord.Role.SOURCE,
                memory.memory().layout().guest(),
                peer.session(),
                peer.attempt(),
                Stage.OFFERED,
                "%s at %s".formatted(peer.host(), address),
                clock.instant(),
                Optional.empty(),
                Map.of())
            .with(MEMORY_FILE, memory.identity()));
  }

  /** The guest may run at the destination from now on, and never here. */
  void mapApplied(MemoryIdentity identity) throws LedgerException {
    write(record.with(identity).at(Stage.MAP_APPLIED, clock.instant()));
  }

  /** The destination has everything. */
  void handedOver() throws LedgerException {
    write(record.at(Stage.HANDED_OVER, clock.instant()));
  }

  boolean isHandedOver() {
    return record != null && record.stage() == Stage.HANDED_OVER;
  }

  private void write(MigrationRecord next) throws LedgerException {
    file.write(next);
    record = next;
  }

  /**
   * The guest is whole here. A record that cannot be removed only makes the next process ask for
   * the operator's word.
   */
  void forget() {
    if (record == null) {
      return; // what is there, if anything, is not of this session
    }
    try {
      file.remove();
    } catch (LedgerException e) {
      log.warn("the next `ward source` on this ledger needs --new-session: {}", e.getMessage());
    }
  }

  /**
   * Goes on with what a dead process has written.
   *
   * @return what its memory was
   * @throws IOException if the memory here is in another file, or nothing is known of it
   */
  MemoryIdentity goOn(MigrationRecord earlier) throws IOException {
    String known = earlier.details().getOrDefault(MEMORY_FILE, "unknown");
    if (!known.equals(memory.identity())) {
      throw new IOException(
          "this is not the memory that was served to %s: that was %s, this is %s"
              .formatted(earlier.peer(), known, memory.identity()));
    }
    record = earlier;
    return earlier
        .memory()
        .orElseThrow(
            () -> new IOException("the record of the migration does not say what the memory was"));
  }
}
