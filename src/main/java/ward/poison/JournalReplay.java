package ward.poison;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import ward.memory.PageRun;
import ward.memory.PageSet;
import ward.poison.LedgerException.Kind;

/**
 * Reads a journal's records in order and finds where the intact ones end.
 *
 * <p>What follows the last intact record is the rest of an append that a crash interrupted, and no
 * one was told that it succeeded: it may be cut off. Unless intact records follow it: then bytes
 * were changed after they were written, what they said is unknown, and the whole file is refused.
 */
final class JournalReplay {

  private final Path path;
  private final byte[] file;
  private final PoisonLedger ledger = new PoisonLedger();
  private final List<Departure> departures = new ArrayList<>();
  private Optional<String> guest = Optional.empty();
  private int version;
  private long records;
  private int offset;

  private JournalReplay(Path path, byte[] file) {
    this.path = path;
    this.file = file;
  }

  /**
   * @param path named in messages
   * @throws LedgerException DAMAGED
   */
  static JournalReplay of(Path path, byte[] file) throws LedgerException {
    JournalReplay replay = new JournalReplay(path, file);
    replay.run();
    return replay;
  }

  private void run() throws LedgerException {
    try {
      version = JournalFormat.version(file);
      offset = JournalFormat.HEADER_BYTES;
      while (JournalFormat.isIntactAt(file, offset)) {
        apply(JournalFormat.decode(file, offset, version, records));
        records++;
        offset += JournalFormat.sizeAt(file, offset);
      }
    } catch (IllegalArgumentException e) {
      throw damaged(e.getMessage());
    }
    requireNothingIntactAfter(offset);
  }

  private void apply(JournalRecord record) {
    if (record instanceof JournalRecord.Guest named) {
      bind(named.name());
    } else if (record instanceof JournalRecord.Poison poison) {
      ledger.record(poison.entry());
    } else if (record instanceof JournalRecord.Extents extents) {
      ledger.record(extents.losses());
    } else if (record instanceof JournalRecord.Held held) {
      ledger.markHeld(setOf(held.frames()));
    } else if (record instanceof JournalRecord.GivenUp givenUp) {
      ledger.giveUp(setOf(givenUp.frames()));
    } else if (record instanceof JournalRecord.Left left) {
      departures.add(left.departure());
    }
  }

  private static PageSet setOf(PageRun run) {
    PageSet frames = new PageSet();
    frames.add(run);
    return frames;
  }

  private void bind(String name) {
    guest.ifPresent(
        first -> {
          throw new IllegalArgumentException(
              "guest \"%s\", but the ledger already is that of \"%s\"; restore the file from a copy"
                  .formatted(name, first));
        });
    guest = Optional.of(name);
  }

  private void requireNothingIntactAfter(int bad) throws LedgerException {
    for (int next = bad + 1; next < file.length; next++) {
      if (JournalFormat.isIntactAt(file, next)) {
        throw damaged(
            "no intact record, but one follows at offset %d; what the damaged record said is lost:"
                    .formatted(next)
                + " restore the file from a copy, or keep this one aside and declare its losses"
                + " anew with `ward ledger add`");
      }
    }
  }

  private LedgerException damaged(String found) {
    return new LedgerException(
        Kind.DAMAGED,
        "%s is damaged at offset %d: %s (nothing was changed)".formatted(path, offset, found));
  }

  Optional<String> guest() {
    return guest;
  }

  PoisonLedger ledger() {
    return ledger;
  }

  /** In the order in which they were written. */
  List<Departure> departures() {
    return departures;
  }

  /** Of the journal's format. */
  int version() {
    return version;
  }

  /** How many there are. */
  long records() {
    return records;
  }

  /** The file up to the end of its last intact record. */
  byte[] intact() {
    return Arrays.copyOf(file, offset);
  }

  /** The length of the file up to the end of its last intact record. */
  int intactBytes() {
    return offset;
  }

  /** Bytes after the last intact record. */
  int tornBytes() {
    return file.length - offset;
  }
}
