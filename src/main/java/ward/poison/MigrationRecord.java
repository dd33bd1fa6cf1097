package ward.poison;

import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.UUID;
import ward.memory.MemoryIdentity;

/**
 * How far this host is in a migration of the ledger's guest, as a process that is started after the
 * death of this one must know it: where the guest may run, and whose session it is.
 *
 * @param guest its identity, as in the ledger
 * @param session as in every Hello of the migration
 * @param attempt the last that was known, from 1
 * @param peer the other host, for people; at most 512 characters
 * @param time of this stage, in whole milliseconds
 * @param memory what the memory was when the guest was paused; empty while nobody has looked
 * @param details whatever else a side wants to find again; at most 64, keys of up to 64 and values
 *     of up to 4096 characters
 */
public record MigrationRecord(
    Role role,
    String guest,
    UUID session,
    int attempt,
    Stage stage,
    String peer,
    Instant time,
    Optional<MemoryIdentity> memory,
    Map<String, String> details) {

  static final int DETAILS_MAX = 64;
  private static final int PEER_CHARACTERS_MAX = 512;
  private static final int KEY_CHARACTERS_MAX = 64;
  private static final int VALUE_CHARACTERS_MAX = 4096;

  /** What this host is in the migration. */
  public enum Role {
    SOURCE,
    DESTINATION
  }

  /** Where the guest is. */
  public enum Stage {
    /** Source: a destination was being told of the guest, which is here and nowhere else. */
    OFFERED,
    /**
     * The whole poison map is in place at the destination. Source: the guest may run there from now
     * on, and never here. Destination: the guest has not run yet.
     */
    MAP_APPLIED,
    /** Destination: the guest runs here, and pages may be missing. */
    RESUMED,
    /** Source: the destination has proved that it has everything; the copy here is stale. */
    HANDED_OVER,
    /** Destination: everything is here. */
    COMPLETE
  }

  /**
   * @throws IllegalArgumentException naming what is too long, too many or not allowed
   */
  public MigrationRecord {
    requireCharacters("guest", guest, 128);
    requireCharacters("peer", peer, PEER_CHARACTERS_MAX);
    if (attempt < 1) {
      throw new IllegalArgumentException("attempt %d; 1 or more".formatted(attempt));
    }
    if (details.size() > DETAILS_MAX) {
      throw new IllegalArgumentException(
          "%d details; at most %d".formatted(details.size(), DETAILS_MAX));
    }
    details.forEach(
        (key, value) -> {
          requireCharacters("a detail's name", key, KEY_CHARACTERS_MAX);
          requireCharacters("detail " + key, value, VALUE_CHARACTERS_MAX);
        });
    time = time.truncatedTo(ChronoUnit.MILLIS);
    details = Map.copyOf(details);
  }

  private static void requireCharacters(String what, String text, int most) {
    if (text.length() > most) {
      throw new IllegalArgumentException(
          "%s has %d characters; at most %d are allowed".formatted(what, text.length(), most));
    }
  }

  /** The same migration, further on. */
  public MigrationRecord at(Stage next, Instant now) {
    return new MigrationRecord(role, guest, session, attempt, next, peer, now, memory, details);
  }

  /** The same, by another attempt at the connections. */
  public MigrationRecord inAttempt(int next) {
    return new MigrationRecord(role, guest, session, next, stage, peer, time, memory, details);
  }

  /** The same, with what the memory is. */
  public MigrationRecord with(MemoryIdentity identity) {
    return new MigrationRecord(
        role, guest, session, attempt, stage, peer, time, Optional.of(identity), details);
  }

  /** The same, with one detail more, or another value of it. */
  public MigrationRecord with(String key, String value) {
    Map<String, String> more = new TreeMap<>(details);
    more.put(key, value);
    return new MigrationRecord(role, guest, session, attempt, stage, peer, time, memory, more);
  }
}
