package ward.poison;

import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.zip.CRC32C;
import ward.memory.PageRun;
import ward.memory.PageSet;
import ward.poison.Origin.Discovery;

/**
 * The bytes of a journal. Numbers are big-endian.
 *
 * <pre>{@code
 *        0         8         12        16 bytes
 *        +---------+---------+---------+
 * header | magic   | version | CRC32C  |     "WARDLEDG", 2, over the 12 bytes before
 *        +---------+---------+---------+
 *
 *        0         4      5            5+n      9+n bytes
 *        +---------+------+-----//-----+--------+
 * record | n       | type | body       | CRC32C |     over n, type and body; n is at most 1024
 *        +---------+------+-----//-----+--------+
 *
 * a body starts with the record's number, 8 bytes, from 0; in version 1 it has none. Then
 *
 * type 1, GUEST    | name, UTF-8                                                  |
 * type 2, POISON   | address 8 | shift 1 | severity 1 | discovery 1 | time 8 | host |
 * type 3, HELD     | first guest frame 8 | count 8                               |
 * type 4, GIVEN_UP | first guest frame 8 | count 8                               |
 * type 5, LEFT     | time 8 | host                                              |
 * type 6, EXTENTS  | shift 1 | severity 1 | discovery 1 | time 8 | n 2 | host n | runs |
 * }</pre>
 *
 * <p>The time is milliseconds since 1970 UTC. The host is UTF-8 and reaches to the end of the body,
 * but in EXTENTS, where its length is given. The runs are of lost extents, each two numbers: how
 * many extents are between the end of the last run (or 0) and this one, and how many are in it.
 * These numbers take 7 bits a byte, the lowest first; every byte but a number's last has its top
 * bit set. Severity: 1 action required, 2 action optional. Discovery: 1 declared, 2 unreadable, 3
 * reported, 4 consumed, 5 source lost.
 *
 * <p>What a record means depends on those before it: a page that is held or given up is lost again
 * by the next entry about it. So a record that is not where its number belongs, being a copy or out
 * of order, is damage. A journal of version 1 stays one: what is appended to it has no number. A
 * Ward that knows version 1 only refuses version 2 by name, and version 1 if it holds a type that
 * it does not know.
 */
final class JournalFormat {

  /** Of new journals. */
  static final int VERSION = 2;

  private static final int VERSION_WITHOUT_NUMBERS = 1;
  static final int HEADER_BYTES = 16;
  static final int MAX_BODY_BYTES = 1024;

  /** Bytes of a record besides its body. */
  static final int FRAME_BYTES = 9;

  static final int BODY = 5;

  static final byte GUEST = 1;
  static final byte POISON = 2;
  static final byte HELD = 3;
  static final byte GIVEN_UP = 4;
  static final byte LEFT = 5;
  static final byte EXTENTS = 6;

  private static final byte[] MAGIC = "WARDLEDG".getBytes(StandardCharsets.US_ASCII);
  private static final int VERSION_AT = 8;
  private static final int HEADER_SUM_AT = 12;
  private static final int POISON_BYTES_BEFORE_HOST = 19;
  private static final int EXTENTS_BYTES_BEFORE_HOST = 13;
  private static final int NUMBER_BYTES = 8;
  private static final int FRAMES_BYTES = 16;
  private static final int LEFT_BYTES_BEFORE_HOST = 8;

  private JournalFormat() {}

  static byte[] header() {
    return header(VERSION);
  }

  static byte[] header(int version) {
    ByteBuffer header = ByteBuffer.allocate(HEADER_BYTES).put(MAGIC).putInt(version);
    return header.putInt(sum(header.array(), 0, HEADER_SUM_AT)).array();
  }

  /**
   * The version of a journal.
   *
   * @throws IllegalArgumentException saying what is wrong and what to do
   */
  static int version(byte[] file) {
    if (file.length < HEADER_BYTES || !ByteBuffer.wrap(MAGIC).equals(start(file))) {
      throw new IllegalArgumentException(
          "no journal header; name a ledger's directory, or restore the file");
    }
    ByteBuffer header = ByteBuffer.wrap(file);
    if (header.getInt(HEADER_SUM_AT) != sum(file, 0, HEADER_SUM_AT)) {
      throw new IllegalArgumentException(
          "the checksum of the header at offset 12 is wrong; restore the file from a copy");
    }
    int version = header.getInt(VERSION_AT);
    if (version != VERSION && version != VERSION_WITHOUT_NUMBERS) {
      throw new IllegalArgumentException(
          "format version %d at offset 8, and this Ward reads versions 1 and %d; use the Ward that wrote it"
              .formatted(version, VERSION));
    }
    return version;
  }

  private static ByteBuffer start(byte[] file) {
    return ByteBuffer.wrap(file, 0, MAGIC.length);
  }

  /**
   * @param firstNumber of these records in their journal, from 0
   */
  static byte[] encode(int version, long firstNumber, List<? extends JournalRecord> records) {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    long number = firstNumber;
    for (JournalRecord record : records) {
      bytes.writeBytes(framed(typeOf(record), numbered(version, number, bodyOf(record))));
      number++;
    }
    return bytes.toByteArray();
  }

  private static byte[] numbered(int version, long number, byte[] body) {
    return version == VERSION_WITHOUT_NUMBERS
        ? body
        : ByteBuffer.allocate(NUMBER_BYTES + body.length).putLong(number).put(body).array();
  }

  private static byte[] framed(byte type, byte[] body) {
    ByteBuffer record = ByteBuffer.allocate(FRAME_BYTES + body.length);
    record.putInt(body.length).put(type).put(body);
    return record.putInt(sum(record.array(), 0, BODY + body.length)).array();
  }

  private static byte typeOf(JournalRecord record) {
    if (record instanceof JournalRecord.Guest) {
      return GUEST;
    } else if (record instanceof JournalRecord.Poison) {
      return POISON;
    } else if (record instanceof JournalRecord.Extents) {
      return EXTENTS;
    } else if (record instanceof JournalRecord.Held) {
      return HELD;
    } else if (record instanceof JournalRecord.GivenUp) {
      return GIVEN_UP;
    } else {
      return LEFT;
    }
  }

  private static byte[] bodyOf(JournalRecord record) {
    if (record instanceof JournalRecord.Guest guest) {
      return guest.name().getBytes(StandardCharsets.UTF_8);
    } else if (record instanceof JournalRecord.Poison poison) {
      return body(poison.entry());
    } else if (record instanceof JournalRecord.Extents extents) {
      return body(extents);
    } else if (record instanceof JournalRecord.Held held) {
      return body(held.frames());
    } else if (record instanceof JournalRecord.GivenUp givenUp) {
      return body(givenUp.frames());
    } else {
      return body(((JournalRecord.Left) record).departure());
    }
  }

  private static byte[] body(PoisonEntry entry) {
    byte[] host = entry.origin().host().getBytes(StandardCharsets.UTF_8);
    return ByteBuffer.allocate(POISON_BYTES_BEFORE_HOST + host.length)
        .putLong(entry.guestPhysicalAddress())
        .put((byte) entry.pageShift())
        .put(code(entry.severity()))
        .put(code(entry.origin().discovery()))
        .putLong(entry.origin().time().toEpochMilli())
        .put(host)
        .array();
  }

  private static byte[] body(JournalRecord.Extents extents) {
    byte[] head = head(extents.common());
    RunWriter runs = new RunWriter();
    extents.runs().forEach(runs::add);
    return ByteBuffer.allocate(head.length + runs.sizeBytes()).put(head).put(runs.bytes()).array();
  }

  /** What an EXTENTS record says before its runs. */
  private static byte[] head(Circumstances common) {
    byte[] host = common.origin().host().getBytes(StandardCharsets.UTF_8);
    return ByteBuffer.allocate(EXTENTS_BYTES_BEFORE_HOST + host.length)
        .put((byte) common.pageShift())
        .put(code(common.severity()))
        .put(code(common.origin().discovery()))
        .putLong(common.origin().time().toEpochMilli())
        .putShort((short) host.length)
        .put(host)
        .array();
  }

  /** Losses as records, each as long as one may be. */
  static List<JournalRecord.Extents> records(PoisonMap losses) {
    List<JournalRecord.Extents> records = new ArrayList<>();
    losses.forEach((common, extents) -> addRecords(common, extents, records));
    return records;
  }

  private static void addRecords(
      Circumstances common, PageSet extents, List<JournalRecord.Extents> records) {
    int room = MAX_BODY_BYTES - NUMBER_BYTES - head(common).length - RunWriter.RUN_BYTES_MAX;
    List<PageRun> runs = new ArrayList<>();
    RunWriter[] bytes = {new RunWriter()};
    extents.forEachRun(
        run -> {
          if (bytes[0].sizeBytes() > room) {
            records.add(new JournalRecord.Extents(common, List.copyOf(runs)));
            runs.clear();
            bytes[0] = new RunWriter();
          }
          bytes[0].add(run);
          runs.add(run);
        });
    records.add(new JournalRecord.Extents(common, List.copyOf(runs)));
  }

  private static byte[] body(PageRun frames) {
    return ByteBuffer.allocate(FRAMES_BYTES)
        .putLong(frames.firstPage())
        .putLong(frames.pageCount())
        .array();
  }

  private static byte[] body(Departure departure) {
    byte[] host = departure.host().getBytes(StandardCharsets.UTF_8);
    return ByteBuffer.allocate(LEFT_BYTES_BEFORE_HOST + host.length)
        .putLong(departure.time().toEpochMilli())
        .put(host)
        .array();
  }

  /** Whether a complete record whose checksum is right starts at this offset. */
  static boolean isIntactAt(byte[] file, int offset) {
    if (file.length - offset < FRAME_BYTES) {
      return false;
    }
    ByteBuffer record = ByteBuffer.wrap(file);
    int length = record.getInt(offset);
    if (length < 0 || length > MAX_BODY_BYTES || length > file.length - offset - FRAME_BYTES) {
      return false;
    }
    int end = offset + BODY + length;
    return record.getInt(end) == sum(file, offset, end);
  }

  /** The bytes of the intact record at this offset. */
  static int sizeAt(byte[] file, int offset) {
    return FRAME_BYTES + ByteBuffer.wrap(file).getInt(offset);
  }

  /**
   * Reads the intact record at this offset.
   *
   * @param number that it must have
   * @throws IllegalArgumentException saying what no Ward of this version would have written
   */
  static JournalRecord decode(byte[] file, int offset, int version, long number) {
    ByteBuffer body =
        ByteBuffer.wrap(file, offset + BODY, sizeAt(file, offset) - FRAME_BYTES).slice();
    if (version != VERSION_WITHOUT_NUMBERS) {
      requireNumber(body, number);
    }
    byte type = file[offset + BODY - 1];
    return switch (type) {
      case GUEST -> new JournalRecord.Guest(text(body));
      case POISON -> new JournalRecord.Poison(entry(body));
      case EXTENTS -> extents(body);
      case HELD -> new JournalRecord.Held(frames("HELD", body));
      case GIVEN_UP -> new JournalRecord.GivenUp(frames("GIVEN_UP", body));
      case LEFT -> new JournalRecord.Left(departure(body));
      default ->
          throw new IllegalArgumentException(
              "record type %d, which this Ward does not know; use the Ward that wrote it"
                  .formatted(type));
    };
  }

  private static void requireNumber(ByteBuffer body, long number) {
    if (body.remaining() < NUMBER_BYTES) {
      throw new IllegalArgumentException(
          "a record of %d bytes, too short for its number".formatted(body.remaining()));
    }
    long found = body.getLong();
    if (found != number) {
      throw new IllegalArgumentException(
          "record %d, where record %d belongs: one was copied, moved or cut out; restore the file from a copy"
              .formatted(found, number));
    }
  }

  private static PoisonEntry entry(ByteBuffer body) {
    if (body.remaining() < POISON_BYTES_BEFORE_HOST) {
      throw new IllegalArgumentException(
          "a POISON record of %d bytes; at least %d are needed"
              .formatted(body.remaining(), POISON_BYTES_BEFORE_HOST));
    }
    long address = body.getLong();
    int shift = body.get();
    Severity severity = severity(body.get());
    Discovery discovery = discovery(body.get());
    Instant time = Instant.ofEpochMilli(body.getLong());
    return new PoisonEntry(address, shift, severity, new Origin(text(body), time, discovery));
  }

  private static JournalRecord.Extents extents(ByteBuffer body) {
    if (body.remaining() < EXTENTS_BYTES_BEFORE_HOST) {
      throw new IllegalArgumentException(
          "an EXTENTS record of %d bytes; at least %d are needed"
              .formatted(body.remaining(), EXTENTS_BYTES_BEFORE_HOST));
    }
    int shift = body.get();
    Severity severity = severity(body.get());
    Discovery discovery = discovery(body.get());
    Instant time = Instant.ofEpochMilli(body.getLong());
    Origin origin = new Origin(text(hostOf(body)), time, discovery);
    Circumstances common = new Circumstances(shift, severity, origin);
    return new JournalRecord.Extents(common, runs(body, shift));
  }

  private static List<PageRun> runs(ByteBuffer body, int shift) {
    List<PageRun> runs = new ArrayList<>();
    RunReader reader = new RunReader(body, (Long.MAX_VALUE >>> shift) + 1);
    while (reader.hasNext()) {
      runs.add(reader.next());
    }
    if (runs.isEmpty()) {
      throw new IllegalArgumentException("an EXTENTS record without an extent");
    }
    return runs;
  }

  /** Its bytes, which the body has behind it then. */
  private static ByteBuffer hostOf(ByteBuffer body) {
    int length = Short.toUnsignedInt(body.getShort());
    if (length > body.remaining()) {
      throw new IllegalArgumentException(
          "a host's name of %d bytes in a record that has %d more"
              .formatted(length, body.remaining()));
    }
    ByteBuffer host = body.slice().limit(length);
    body.position(body.position() + length);
    return host;
  }

  private static PageRun frames(String type, ByteBuffer body) {
    if (body.remaining() != FRAMES_BYTES) {
      throw new IllegalArgumentException(
          "a %s record of %d bytes; %d are needed".formatted(type, body.remaining(), FRAMES_BYTES));
    }
    return new PageRun(body.getLong(), body.getLong());
  }

  private static Departure departure(ByteBuffer body) {
    if (body.remaining() < LEFT_BYTES_BEFORE_HOST) {
      throw new IllegalArgumentException(
          "a LEFT record of %d bytes; at least %d are needed"
              .formatted(body.remaining(), LEFT_BYTES_BEFORE_HOST));
    }
    Instant time = Instant.ofEpochMilli(body.getLong());
    return new Departure(text(body), time);
  }

  private static String text(ByteBuffer body) {
    try {
      return StandardCharsets.UTF_8.newDecoder().decode(body).toString();
    } catch (CharacterCodingException e) {
      throw new IllegalArgumentException("a name that is not UTF-8", e);
    }
  }

  // Written out rather than taken from ordinal(): the file outlives the order of the constants.
  private static byte code(Severity severity) {
    return switch (severity) {
      case ACTION_REQUIRED -> 1;
      case ACTION_OPTIONAL -> 2;
    };
  }

  private static Severity severity(byte code) {
    return switch (code) {
      case 1 -> Severity.ACTION_REQUIRED;
      case 2 -> Severity.ACTION_OPTIONAL;
      default -> throw new IllegalArgumentException("severity %d; 1 and 2 exist".formatted(code));
    };
  }

  private static byte code(Discovery discovery) {
    return switch (discovery) {
      case DECLARED -> 1;
      case UNREADABLE -> 2;
      case REPORTED -> 3;
      case CONSUMED -> 4;
      case SOURCE_LOST -> 5;
    };
  }

  private static Discovery discovery(byte code) {
    return switch (code) {
      case 1 -> Discovery.DECLARED;
      case 2 -> Discovery.UNREADABLE;
      case 3 -> Discovery.REPORTED;
      case 4 -> Discovery.CONSUMED;
      case 5 -> Discovery.SOURCE_LOST;
      default -> throw new IllegalArgumentException("discovery %d; 1 to 5 exist".formatted(code));
    };
  }

  private static int sum(byte[] bytes, int from, int to) {
    CRC32C sum = new CRC32C();
    sum.update(bytes, from, to - from);
    return (int) sum.getValue();
  }
}
