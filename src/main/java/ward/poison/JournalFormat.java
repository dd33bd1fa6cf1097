package ward.poison;

import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.util.List;
import java.util.zip.CRC32C;
import ward.memory.PageRun;
import ward.poison.Origin.Discovery;

/**
 * The bytes of a journal. Numbers are big-endian.
 *
 * <pre>{@code
 *        0         8         12        16 bytes
 *        +---------+---------+---------+
 * header | magic   | version | CRC32C  |     "WARDLEDG", 1, over the 12 bytes before
 *        +---------+---------+---------+
 *
 *        0         4      5            5+n      9+n bytes
 *        +---------+------+-----//-----+--------+
 * record | n       | type | body       | CRC32C |     over n, type and body; n is at most 1024
 *        +---------+------+-----//-----+--------+
 *
 * type 1, GUEST    | name, UTF-8                                                  |
 * type 2, POISON   | address 8 | shift 1 | severity 1 | discovery 1 | time 8 | host |
 * type 3, HELD     | first guest frame 8 | count 8                               |
 * type 5, LEFT     | time 8 | host                                              |
 * }</pre>
 *
 * <p>The time is milliseconds since 1970 UTC. The host is UTF-8 and reaches to the end of the body.
 * Severity: 1 action required, 2 action optional. Discovery: 1 declared, 2 unreadable, 3 reported,
 * 4 consumed, 5 source lost.
 */
final class JournalFormat {

  static final int VERSION = 1;
  static final int HEADER_BYTES = 16;
  static final int MAX_BODY_BYTES = 1024;

  /** Bytes of a record besides its body. */
  static final int FRAME_BYTES = 9;

  static final int BODY = 5;

  static final byte GUEST = 1;
  static final byte POISON = 2;
  static final byte HELD = 3;
  static final byte LEFT = 5;

  private static final byte[] MAGIC = "WARDLEDG".getBytes(StandardCharsets.US_ASCII);
  private static final int VERSION_AT = 8;
  private static final int HEADER_SUM_AT = 12;
  private static final int POISON_BYTES_BEFORE_HOST = 19;
  private static final int HELD_BYTES = 16;
  private static final int LEFT_BYTES_BEFORE_HOST = 8;

  private JournalFormat() {}

  static byte[] header() {
    ByteBuffer header = ByteBuffer.allocate(HEADER_BYTES).put(MAGIC).putInt(VERSION);
    return header.putInt(sum(header.array(), 0, HEADER_SUM_AT)).array();
  }

  /**
   * @throws IllegalArgumentException saying what is wrong and what to do
   */
  static void requireHeader(byte[] file) {
    if (file.length < HEADER_BYTES || !ByteBuffer.wrap(MAGIC).equals(start(file))) {
      throw new IllegalArgumentException(
          "no journal header; name a ledger's directory, or restore the file");
    }
    ByteBuffer header = ByteBuffer.wrap(file);
    if (header.getInt(HEADER_SUM_AT) != sum(file, 0, HEADER_SUM_AT)) {
      throw new IllegalArgumentException(
          "the checksum of the header at offset 12 is wrong; restore the file from a copy");
    }
    if (header.getInt(VERSION_AT) != VERSION) {
      throw new IllegalArgumentException(
          "format version %d at offset 8, and this Ward reads version %d; use the Ward that wrote it"
              .formatted(header.getInt(VERSION_AT), VERSION));
    }
  }

  private static ByteBuffer start(byte[] file) {
    return ByteBuffer.wrap(file, 0, MAGIC.length);
  }

  static byte[] encode(List<? extends JournalRecord> records) {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    records.forEach(record -> bytes.writeBytes(encode(record)));
    return bytes.toByteArray();
  }

  private static byte[] encode(JournalRecord record) {
    if (record instanceof JournalRecord.Guest guest) {
      return framed(GUEST, guest.name().getBytes(StandardCharsets.UTF_8));
    } else if (record instanceof JournalRecord.Poison poison) {
      return framed(POISON, body(poison.entry()));
    } else if (record instanceof JournalRecord.Held held) {
      return framed(HELD, body(held.frames()));
    } else {
      return framed(LEFT, body(((JournalRecord.Left) record).departure()));
    }
  }

  private static byte[] framed(byte type, byte[] body) {
    ByteBuffer record = ByteBuffer.allocate(FRAME_BYTES + body.length);
    record.putInt(body.length).put(type).put(body);
    return record.putInt(sum(record.array(), 0, BODY + body.length)).array();
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

  private static byte[] body(PageRun frames) {
    return ByteBuffer.allocate(HELD_BYTES)
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
   * @throws IllegalArgumentException saying what no Ward of this version would have written
   */
  static JournalRecord decode(byte[] file, int offset) {
    ByteBuffer body =
        ByteBuffer.wrap(file, offset + BODY, sizeAt(file, offset) - FRAME_BYTES).slice();
    byte type = file[offset + BODY - 1];
    return switch (type) {
      case GUEST -> new JournalRecord.Guest(text(body));
      case POISON -> new JournalRecord.Poison(entry(body));
      case HELD -> new JournalRecord.Held(frames(body));
      case LEFT -> new JournalRecord.Left(departure(body));
      default ->
          throw new IllegalArgumentException(
              "record type %d, which this Ward does not know; use the Ward that wrote it"
                  .formatted(type));
    };
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

  private static PageRun frames(ByteBuffer body) {
    if (body.remaining() != HELD_BYTES) {
      throw new IllegalArgumentException(
          "a HELD record of %d bytes; %d are needed".formatted(body.remaining(), HELD_BYTES));
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
