package ward.poison;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.fail;

import java.nio.file.Path;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.ToIntFunction;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import ward.memory.PageRun;
import ward.poison.JournalRecord.Extents;
import ward.poison.JournalRecord.GivenUp;
import ward.poison.JournalRecord.Guest;
import ward.poison.JournalRecord.Held;
import ward.poison.JournalRecord.Left;
import ward.poison.JournalRecord.Poison;

/**
 * A journal with every kind of record, changed in every way that one change can be made: what is
 * read is a prefix of what was written, and the rest is cut off with a warning; or it is refused.
 */
@Timeout(60)
class JournalDamageTest {

  private static final Path PATH = Path.of("/var/lib/ward/journal");

  /** Each one's meaning depends on those before it. */
  private static final List<JournalRecord> RECORDS =
      List.of(
          new Guest("web-7"),
          new Left(new Departure("host-0", Instant.ofEpochMilli(1_700_000_000_000L))),
          new Poison(Losses.page(0x5000)),
          new Poison(Losses.extent(0x200000, 21)),
          new Extents(
              Circumstances.of(Losses.entry(0, 12, "host-c")),
              List.of(new PageRun(0x10, 3), new PageRun(0x300, 0x200))),
          new Held(new PageRun(5, 1)),
          new GivenUp(new PageRun(0x201, 2)),
          new Poison(Losses.entry(0x5000, 12, "host-b")),
          new Poison(Losses.entry(0x201000, 12, "host-b")),
          new Held(new PageRun(0x3ff, 1)));

  /** What a reader knows, in full. */
  private record Known(
      String guest, List<PoisonEntry> entries, String lost, String held, String givenUp) {

    static Known of(JournalReplay replay) {
      return new Known(
          replay.guest().orElse(""),
          replay.ledger().entries(),
          replay.ledger().frames().toString(),
          replay.ledger().heldFrames().toString(),
          replay.ledger().givenUpFrames().toString());
    }
  }

  private final List<byte[]> encoded =
      IntStream.range(0, RECORDS.size())
          .mapToObj(i -> JournalFormat.encode(JournalFormat.VERSION, i, RECORDS.subList(i, i + 1)))
          .toList();
  private final byte[] file = fileOf(encoded);
  private int damaged;
  private int shortened;

  private static byte[] fileOf(List<byte[]> records) {
    List<byte[]> parts = new ArrayList<>(List.of(JournalFormat.header()));
    parts.addAll(records);
    byte[] joined = new byte[parts.stream().mapToInt(part -> part.length).sum()];
    int at = 0;
    for (byte[] part : parts) {
      System.arraycopy(part, 0, joined, at, part.length);
      at += part.length;
    }
    return joined;
  }

  /** What is read of the first so many records. */
  private Known prefix(int records) throws LedgerException {
    return Known.of(JournalReplay.of(PATH, fileOf(encoded.subList(0, records))));
  }

  /**
   * @param wholeIsAllowed whether all of it may be read, because nothing was taken away
   */
  private void assertPrefixOrRefused(byte[] changed, boolean wholeIsAllowed, String what)
      throws LedgerException {
    JournalReplay replay;
    try {
      replay = JournalReplay.of(PATH, changed);
    } catch (LedgerException e) {
      assertThat(e.kind()).as(what).isEqualTo(LedgerException.Kind.DAMAGED);
      damaged++;
      return;
    }
    shortened++;
    int records = (int) replay.records();
    assertThat(Known.of(replay)).as(what).isEqualTo(prefix(records));
    assertThat(records < RECORDS.size() || wholeIsAllowed).as(what).isTrue();
    assertThat(replay.tornBytes())
        .as("%s: what was cut off is warned of", what)
        .isEqualTo(changed.length - fileOf(encoded.subList(0, records)).length);
  }

  @Test
  void cutAtEveryByteItEndsWithItsLastWholeRecord() throws Exception {
    for (int length = JournalFormat.HEADER_BYTES; length <= file.length; length++) {
      JournalReplay replay = JournalReplay.of(PATH, Arrays.copyOf(file, length));

      assertThat(replay.records()).isEqualTo(wholeRecordsIn(length));
      assertThat(Known.of(replay))
          .as("cut at %d", length)
          .isEqualTo(prefix((int) replay.records()));
    }
  }

  private long wholeRecordsIn(int length) {
    int records = 0;
    while (records < RECORDS.size() && fileOf(encoded.subList(0, records + 1)).length <= length) {
      records++;
    }
    return records;
  }

  @Test
  void anyBitMayFlip() throws Exception {
    for (int at = 0; at < file.length; at++) {
      for (int bit = 0; bit < 8; bit++) {
        byte[] changed = file.clone();
        changed[at] ^= (byte) (1 << bit);

        assertPrefixOrRefused(changed, false, "bit %d of byte %d".formatted(bit, at));
      }
    }
    int last = encoded.get(RECORDS.size() - 1).length;
    assertThat(shortened).as("only the last record can be taken for torn").isEqualTo(8 * last);
    assertThat(damaged).isEqualTo(8 * (file.length - last));
  }

  @Test
  void anyByteMayBecomeAnything() throws Exception {
    for (int at = 0; at < file.length; at++) {
      for (int value = 1; value < 256; value += 6) {
        byte[] changed = file.clone();
        changed[at] ^= (byte) value;

        assertPrefixOrRefused(changed, false, "byte %d xor %d".formatted(at, value));
      }
    }
  }

  @Test
  void anyByteMayBeMissingOrTwice() throws Exception {
    for (int at = 0; at < file.length; at++) {
      byte[] missing = new byte[file.length - 1];
      System.arraycopy(file, 0, missing, 0, at);
      System.arraycopy(file, at + 1, missing, at, missing.length - at);
      byte[] twice = new byte[file.length + 1];
      System.arraycopy(file, 0, twice, 0, at + 1);
      System.arraycopy(file, at, twice, at + 1, file.length - at);

      assertPrefixOrRefused(missing, false, "byte %d is missing".formatted(at));
      assertPrefixOrRefused(twice, at == file.length - 1, "byte %d is twice there".formatted(at));
    }
  }

  @Test
  void aRecordThatIsThereTwiceIsRefusedWhereverItsCopyIs() {
    for (int copied = 0; copied < RECORDS.size(); copied++) {
      for (int at = copied + 1; at <= RECORDS.size(); at++) {
        List<byte[]> changed = new ArrayList<>(encoded);
        changed.add(at, encoded.get(copied));

        assertRefused(changed, "record %d again at %d".formatted(copied, at));
      }
    }
  }

  @Test
  void anyTwoRecordsThatChangedPlacesAreRefused() {
    for (int one = 0; one < RECORDS.size(); one++) {
      for (int other = one + 1; other < RECORDS.size(); other++) {
        List<byte[]> changed = new ArrayList<>(encoded);
        changed.set(one, encoded.get(other));
        changed.set(other, encoded.get(one));

        assertRefused(changed, "records %d and %d".formatted(one, other));
      }
    }
  }

  @Test
  void aRecordThatIsMissingIsRefusedUnlessItIsTheLast() throws Exception {
    for (int missing = 0; missing < RECORDS.size() - 1; missing++) {
      List<byte[]> changed = new ArrayList<>(encoded);
      changed.remove(missing);

      assertRefused(changed, "without record %d".formatted(missing));
    }
    assertThat(Known.of(JournalReplay.of(PATH, fileOf(encoded.subList(0, RECORDS.size() - 1)))))
        .isEqualTo(prefix(RECORDS.size() - 1));
  }

  private static void assertRefused(List<byte[]> records, String what) {
    try {
      JournalReplay.of(PATH, fileOf(records));
    } catch (LedgerException e) {
      assertThat(e.kind()).as(what).isEqualTo(LedgerException.Kind.DAMAGED);
      return;
    }
    fail("%s was not noticed", what);
  }

  /** A bad sector reads as zeros, or as what was there before the file. */
  @Test
  void anyStretchOfItMayBeOverwritten() throws Exception {
    List<ToIntFunction<Integer>> fills = List.of(at -> 0, at -> 0xff, at -> file[at % 40]);
    for (int first = 0; first < file.length; first++) {
      for (int length : new int[] {2, 7, 30, 64, file.length}) {
        for (ToIntFunction<Integer> fill : fills) {
          byte[] changed = file.clone();
          for (int at = first; at < Math.min(file.length, first + length); at++) {
            changed[at] = (byte) fill.applyAsInt(at);
          }
          boolean same = Arrays.equals(changed, file);

          assertPrefixOrRefused(changed, same, "%d bytes from %d".formatted(length, first));
        }
      }
    }
  }
}
