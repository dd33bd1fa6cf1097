package ward.poison;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static ward.poison.Losses.extent;
import static ward.poison.Losses.frames;
import static ward.poison.Losses.page;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.zip.CRC32C;
import org.junit.jupiter.api.Test;
import ward.memory.PageRun;
import ward.poison.JournalRecord.GivenUp;
import ward.poison.JournalRecord.Guest;
import ward.poison.JournalRecord.Held;
import ward.poison.JournalRecord.Poison;
import ward.poison.LedgerException.Kind;

class JournalReplayTest {

  private static final Path PATH = Path.of("/var/lib/ward/journal");
  private static final int HEADER = JournalFormat.HEADER_BYTES;

  private static final Guest FIRST = new Guest("web-7");
  private static final Poison MIDDLE = new Poison(extent(0x200000, 21));
  private static final Poison LAST = new Poison(page(0x5000));

  private final byte[] file = fileOf(FIRST, MIDDLE, LAST);
  private final int middle = fileOf(FIRST).length;
  private final int last = fileOf(FIRST, MIDDLE).length;

  private static byte[] fileOf(JournalRecord... records) {
    return join(JournalFormat.header(), JournalFormat.encode(2, 0, List.of(records)));
  }

  private static byte[] join(byte[]... parts) {
    ByteBuffer joined = ByteBuffer.allocate(Arrays.stream(parts).mapToInt(p -> p.length).sum());
    Arrays.stream(parts).forEach(joined::put);
    return joined.array();
  }

  private static JournalReplay replay(byte[] file) throws LedgerException {
    return JournalReplay.of(PATH, file);
  }

  private static byte[] flipped(byte[] file, int at, int bit) {
    byte[] copy = file.clone();
    copy[at] ^= (byte) (1 << bit);
    return copy;
  }

  private static void assertRefused(byte[] file, String message) {
    assertThatThrownBy(() -> replay(file))
        .isInstanceOfSatisfying(
            LedgerException.class, e -> assertThat(e.kind()).isEqualTo(Kind.DAMAGED))
        .hasMessage("%s is damaged at %s (nothing was changed)", PATH, message);
  }

  private static final String BYTES_OF_VERSION_1 =
      "574152444c45444700000001" // WARDLEDG, version 1
          + "175c641e"
          + "00000005"
          + "01"
          + "7765622d37" // GUEST web-7
          + "2297cfa9"
          + "00000019"
          + "02"
          + "0000000000005000"
          + "0c"
          + "01"
          + "02"
          + "0000019c13ec9e00"
          + "686f73742d61" // POISON, host-a
          + "8059e9c4"
          + "00000010"
          + "03"
          + "0000000000000005"
          + "0000000000000001" // HELD
          + "007db1b8";

  private static final String BYTES_OF_VERSION_2 =
      "574152444c45444700000002" // WARDLEDG, version 2
          + "040c97ea"
          + "0000000d"
          + "01"
          + "0000000000000000"
          + "7765622d37" // 0: GUEST web-7
          + "b0a1294f"
          + "00000021"
          + "02"
          + "0000000000000001"
          + "0000000000005000"
          + "0c"
          + "01"
          + "02"
          + "0000019c13ec9e00"
          + "686f73742d61" // 1: POISON, host-a
          + "5365332a"
          + "00000018"
          + "04"
          + "0000000000000002"
          + "0000000000000005"
          + "0000000000000001" // 2: GIVEN_UP
          + "2dd62811";

  @Test
  void theBytesOfAJournalStayWhatTheyAre() {
    byte[] bytes = fileOf(FIRST, LAST, new GivenUp(new PageRun(5, 1)));

    assertThat(HexFormat.of().formatHex(bytes)).isEqualTo(BYTES_OF_VERSION_2);
  }

  private static final String BYTES_OF_EXTENTS =
      "00000024"
          + "06"
          + "0000000000000003"
          + "15"
          + "01"
          + "02"
          + "0000019c13ec9e00"
          + "0006"
          + "686f73742d61" // EXTENTS of 2 MiB, host-a
          + "0102" // 1 and 2
          + "7f01" // 0x82
          + "8001808001"; // 0x103, and 0x4000 in all

  @Test
  void theBytesOfManyExtentsStayWhatTheyAre() {
    Circumstances common = Circumstances.of(extent(0, 21));
    List<PageRun> runs =
        List.of(new PageRun(1, 2), new PageRun(0x82, 1), new PageRun(0x103, 0x4000));

    byte[] bytes = JournalFormat.encode(2, 3, List.of(new JournalRecord.Extents(common, runs)));

    String hex = HexFormat.of().formatHex(bytes);
    assertThat(hex.substring(0, hex.length() - 8)).isEqualTo(BYTES_OF_EXTENTS);
    assertThat(JournalFormat.decode(bytes, 0, 2, 3))
        .isEqualTo(new JournalRecord.Extents(common, runs));
  }

  @Test
  void aMillionLossesTakeAFewRecords() throws Exception {
    PoisonMap losses = new PoisonMap();
    Circumstances common = Circumstances.of(page(0));
    for (long page = 1; page < 1_250_000; page += 10) {
      losses.add(common, new PageRun(page, 8));
    }
    FakeDisk disk = new FakeDisk();
    LedgerJournal journal = LedgerJournal.over(disk, () -> {}, PATH);
    int forces = disk.forces;

    assertThat(journal.append(losses)).isEqualTo(losses);

    assertThat(disk.forces - forces).as("one fsync for all").isEqualTo(1);
    assertThat(disk.read().length).isLessThan(300_000);
    JournalReplay again = replay(disk.read());
    assertThat(again.ledger().effective()).isEqualTo(losses);
    assertThat(journal.append(losses).isEmpty()).as("nothing is news twice").isTrue();
    assertThat(disk.read().length).isEqualTo(again.intactBytes());
  }

  @Test
  void refusesExtentsThatNoWardWouldHaveWritten() {
    byte[] head = HexFormat.of().parseHex("0c01020000019c13ec9e000006686f73742d61");

    assertExtentsRefused(new byte[4], "an EXTENTS record of 4 bytes; at least 13 are needed");
    assertExtentsRefused(head, "an EXTENTS record without an extent");
    assertExtentsRefused(join(head, new byte[] {1}), "is cut off");
    assertExtentsRefused(join(head, new byte[] {1, -1}), "is cut off");
    assertExtentsRefused(join(head, new byte[] {1, 0}), "a run of 0 lost extents, 1 extents after");
    byte[] long64 = HexFormat.of().parseHex("ffffffffffffffffff01");
    assertExtentsRefused(join(head, long64), "has more than 63 bits");
    byte[] long63 = HexFormat.of().parseHex("ffffffffffffffff7f");
    assertExtentsRefused(join(head, long63, new byte[] {1}), "are allowed");
    assertExtentsRefused(join(head, new byte[] {1}, long63), "are allowed");
    byte[] longHost = head.clone();
    longHost[12] = 7;
    assertExtentsRefused(longHost, "a host's name of 7 bytes in a record that has 6 more");
  }

  private void assertExtentsRefused(byte[] body, String message) {
    assertThatThrownBy(() -> replay(join(file, record(JournalFormat.EXTENTS, body))))
        .hasMessageContaining("damaged at offset %d: ".formatted(file.length))
        .hasMessageContaining(message);
  }

  @Test
  void aJournalOfVersion1TakesManyExtentsToo() throws Exception {
    FakeDisk disk = new FakeDisk(HexFormat.of().parseHex(BYTES_OF_VERSION_1));
    LedgerJournal journal = LedgerJournal.over(disk, () -> {}, PATH);

    journal.append(PoisonMap.of(List.of(page(0x6000), page(0x7000))));

    JournalReplay again = replay(disk.read());
    assertThat(again.version()).isEqualTo(1);
    assertThat(again.ledger().entries()).containsExactly(LAST.entry(), page(0x6000), page(0x7000));
  }

  @Test
  void aJournalOfVersion1IsReadAndStaysOne() throws Exception {
    FakeDisk disk = new FakeDisk(HexFormat.of().parseHex(BYTES_OF_VERSION_1));
    LedgerJournal journal = LedgerJournal.over(disk, () -> {}, PATH);
    assertThat(journal.guest()).contains("web-7");
    assertThat(journal.ledger().heldFrames()).isEqualTo(frames(5));

    journal.append(List.of(page(0x6000)));

    JournalReplay again = replay(disk.read());
    assertThat(again.version()).isEqualTo(1);
    assertThat(again.ledger().entries()).containsExactly(LAST.entry(), page(0x6000));
    assertThat(HexFormat.of().formatHex(disk.read())).startsWith(BYTES_OF_VERSION_1);
  }

  @Test
  void readsEveryRecordBack() throws Exception {
    JournalReplay replay = replay(file);

    assertThat(replay.guest()).contains("web-7");
    assertThat(replay.ledger().entries()).containsExactly(LAST.entry(), MIDDLE.entry());
    assertThat(replay.tornBytes()).isZero();
  }

  @Test
  void readsAHeldMarkInItsPlaceAmongTheLosses() throws Exception {
    byte[] heldThenLostAgain =
        fileOf(LAST, new Held(new PageRun(5, 1)), new Poison(Losses.entry(0x5000, 12, "host-b")));

    assertThat(replay(fileOf(LAST, new Held(new PageRun(5, 1)))).ledger().heldFrames())
        .isEqualTo(frames(5));
    assertThat(replay(heldThenLostAgain).ledger().contains(0x5000)).isTrue();
  }

  @Test
  void aRecordWrittenTwiceIsHarmless() throws Exception {
    assertThat(replay(fileOf(LAST, LAST, LAST)).ledger().entries()).containsExactly(LAST.entry());
  }

  @Test
  void aFileCutAnywhereKeepsItsWholeRecords() throws Exception {
    for (int length = HEADER; length <= file.length; length++) {
      JournalReplay replay = replay(Arrays.copyOf(file, length));

      int whole = length == file.length ? length : length >= last ? last : startBelow(length);
      assertThat(replay.intactBytes()).as("cut at %d", length).isEqualTo(whole);
      assertThat(replay.tornBytes()).isEqualTo(length - whole);
      assertThat(replay.ledger().entries())
          .hasSize(whole == file.length ? 2 : whole == last ? 1 : 0);
    }
  }

  private int startBelow(int length) {
    return length >= middle ? middle : HEADER;
  }

  @Test
  void aFileCutInsideItsHeaderIsRefusedBecauseItNeverWasShorter() {
    for (int length = 0; length < HEADER; length++) {
      byte[] cut = Arrays.copyOf(file, length);

      assertRefused(
          cut, "offset 0: no journal header; name a ledger's directory, or restore the file");
    }
  }

  @Test
  void aFileThatGrewBeforeItsBytesArrivedEndsInZerosThatAreCut() throws Exception {
    for (int zeros : new int[] {1, 8, 9, 100, 5000}) {
      JournalReplay replay = replay(join(file, new byte[zeros]));

      assertThat(replay.intactBytes()).isEqualTo(file.length);
      assertThat(replay.tornBytes()).isEqualTo(zeros);
    }
  }

  @Test
  void anyFlippedBitBeforeTheLastRecordIsRefused() {
    for (int at = 0; at < last; at++) {
      for (int bit = 0; bit < 8; bit++) {
        byte[] damaged = flipped(file, at, bit);

        assertThatThrownBy(() -> replay(damaged))
            .as("bit %d of byte %d", bit, at)
            .isInstanceOf(LedgerException.class);
      }
    }
  }

  @Test
  void anyChangedByteInTheMiddleRecordIsRefused() {
    for (int at = middle; at < last; at++) {
      for (int value = 1; value < 256; value++) {
        byte[] damaged = file.clone();
        damaged[at] ^= (byte) value;

        assertThatThrownBy(() -> replay(damaged))
            .as("byte %d xor %d", at, value)
            .isInstanceOf(LedgerException.class);
      }
    }
  }

  @Test
  void anyFlippedBitInTheLastRecordCutsItOffAndKeepsTheRest() throws Exception {
    for (int at = last; at < file.length; at++) {
      for (int bit = 0; bit < 8; bit++) {
        JournalReplay replay = replay(flipped(file, at, bit));

        assertThat(replay.intactBytes()).as("bit %d of byte %d", bit, at).isEqualTo(last);
        assertThat(replay.ledger().entries()).containsExactly(MIDDLE.entry());
      }
    }
  }

  @Test
  void saysWhereTheDamageIsWhatFollowsAndWhatToDo() {
    assertRefused(
        flipped(file, middle + 7, 0),
        "offset %d: no intact record, but one follows at offset %d; what the damaged record said is"
                .formatted(middle, last)
            + " lost: restore the file from a copy, or keep this one aside and declare its losses"
            + " anew with `ward ledger add`");
  }

  @Test
  void refusesAFileThatIsNoJournal() {
    assertRefused(
        "this is the wrong file altogether".getBytes(StandardCharsets.US_ASCII),
        "offset 0: no journal header; name a ledger's directory, or restore the file");
  }

  @Test
  void refusesAVersionThatItDoesNotKnow() {
    ByteBuffer header = ByteBuffer.wrap(file.clone()).putInt(8, 3);
    header.putInt(12, sum(header.array(), 0, 12));

    assertRefused(
        header.array(),
        "offset 0: format version 3 at offset 8, and this Ward reads versions 1 and 2; use the Ward"
            + " that wrote it");
  }

  @Test
  void refusesARecordTypeThatItDoesNotKnowAlsoAtTheEnd() {
    assertRefused(
        join(file, record(9, new byte[3])),
        "offset %d: record type 9, which this Ward does not know; use the Ward that wrote it"
            .formatted(file.length));
  }

  @Test
  void refusesARecordWhoseChecksumIsRightAndWhoseContentCannotBe() {
    byte[] lost = ByteBuffer.allocate(20).putLong(0x5000).put((byte) 50).array();

    assertThatThrownBy(() -> replay(join(file, record(JournalFormat.POISON, lost))))
        .hasMessageContaining("damaged at offset %d: ".formatted(file.length));
    assertThatThrownBy(() -> replay(join(file, record(JournalFormat.POISON, new byte[3]))))
        .hasMessageContaining("a POISON record of 3 bytes; at least 19 are needed");
    assertThatThrownBy(() -> replay(join(file, record(JournalFormat.HELD, new byte[15]))))
        .hasMessageContaining("a HELD record of 15 bytes; 16 are needed");
    assertThatThrownBy(() -> replay(join(file, record(JournalFormat.HELD, new byte[16]))))
        .hasMessageContaining("a run of 0 pages");
    assertThatThrownBy(() -> replay(join(file, record(JournalFormat.GUEST, new byte[] {-1}))))
        .hasMessageContaining("a name that is not UTF-8");
  }

  @Test
  void refusesALedgerThatNamesTwoGuests() {
    assertRefused(
        fileOf(FIRST, new Guest("db-1")),
        "offset %d: guest \"db-1\", but the ledger already is that of \"web-7\"; restore the file"
                .formatted(middle)
            + " from a copy");
  }

  /** The fourth record of a journal. */
  private static byte[] record(int type, byte[] body) {
    ByteBuffer record = ByteBuffer.allocate(17 + body.length);
    record.putInt(8 + body.length).put((byte) type).putLong(3).put(body);
    return record.putInt(sum(record.array(), 0, 13 + body.length)).array();
  }

  private static int sum(byte[] bytes, int from, int to) {
    CRC32C sum = new CRC32C();
    sum.update(bytes, from, to - from);
    return (int) sum.getValue();
  }
}
