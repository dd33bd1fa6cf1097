package ward.poison;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.UUID;
import java.util.zip.CRC32C;
import ward.memory.GuestLayout;
import ward.memory.GuestRegion;
import ward.memory.MemoryIdentity;
import ward.memory.PageSample;

/**
 * The bytes of a {@link MigrationRecord}. Numbers are big-endian, texts as {@link
 * DataOutputStream#writeUTF} writes them.
 *
 * <pre>{@code
 * 0         8         12      16
 * +---------+---------+-------+--//--+--------+
 * | magic   | version | n     | body | CRC32C |     "WARDMIGR", 1; the sum is over all before it
 * +---------+---------+-------+--//--+--------+     n bytes of body
 *
 * body: role 1 | stage 1 | attempt 4 | session 16 | time 8 | guest | peer
 *     | regions 4, of each: address 8, length 8, file offset 8      none: memory unknown
 *     | samples 4, of each: frame 8, SHA-256 as text
 *     | details 4, of each: name, value
 * }</pre>
 *
 * <p>The time is milliseconds since 1970 UTC. Role: 1 source, 2 destination. Stage: 1 offered, 2
 * map applied, 3 resumed, 4 handed over, 5 complete.
 */
final class MigrationFormat {

  static final int VERSION = 1;

  /** More than any record has. */
  static final int BYTES_MAX = 1 << 20;

  private static final byte[] MAGIC = "WARDMIGR".getBytes(StandardCharsets.US_ASCII);
  private static final int BODY_AT = 16;
  private static final int SUM_BYTES = 4;
  private static final int REGIONS_MAX = 4096;

  private MigrationFormat() {}

  static byte[] encode(MigrationRecord record) {
    byte[] body = body(record);
    ByteBuffer file = ByteBuffer.allocate(BODY_AT + body.length + SUM_BYTES);
    file.put(MAGIC).putInt(VERSION).putInt(body.length).put(body);
    return file.putInt(sum(file.array(), BODY_AT + body.length)).array();
  }

  /**
   * @throws IllegalArgumentException saying what is wrong
   */
  static MigrationRecord decode(byte[] bytes) {
    if (bytes.length < BODY_AT + SUM_BYTES) {
      throw new IllegalArgumentException(
          "%d bytes, and no record is shorter than %d"
              .formatted(bytes.length, BODY_AT + SUM_BYTES));
    }
    ByteBuffer file = ByteBuffer.wrap(bytes);
    int sumAt = bytes.length - SUM_BYTES;
    if (!ByteBuffer.wrap(bytes, 0, MAGIC.length).equals(ByteBuffer.wrap(MAGIC))) {
      throw new IllegalArgumentException("it does not begin as a record of a migration does");
    }
    if (file.getInt(sumAt) != sum(bytes, sumAt)) {
      throw new IllegalArgumentException("its checksum is wrong");
    }
    if (file.getInt(MAGIC.length) != VERSION) {
      throw new IllegalArgumentException(
          "format version %d, and this Ward reads version %d; use the Ward that wrote it"
              .formatted(file.getInt(MAGIC.length), VERSION));
    }
    if (file.getInt(BODY_AT - Integer.BYTES) != sumAt - BODY_AT) {
      throw new IllegalArgumentException("its length is not what it says");
    }
    return decodeBody(new ByteArrayInputStream(bytes, BODY_AT, sumAt - BODY_AT));
  }

  private static byte[] body(MigrationRecord record) {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    try {
      DataOutputStream body = new DataOutputStream(bytes);
      body.writeByte(code(record.role()));
      body.writeByte(code(record.stage()));
      body.writeInt(record.attempt());
      body.writeLong(record.session().getMostSignificantBits());
      body.writeLong(record.session().getLeastSignificantBits());
      body.writeLong(record.time().toEpochMilli());
      body.writeUTF(record.guest());
      body.writeUTF(record.peer());
      writeMemory(body, record.memory());
      writeDetails(body, record.details());
    } catch (IOException e) {
      throw new UncheckedIOException(e); // into memory: a text is longer than a record takes
    }
    return bytes.toByteArray();
  }

  private static void writeMemory(DataOutputStream body, Optional<MemoryIdentity> memory)
      throws IOException {
    List<GuestRegion> regions = memory.map(known -> known.layout().regions()).orElse(List.of());
    body.writeInt(regions.size());
    for (GuestRegion region : regions) {
      body.writeLong(region.guestPhysicalAddress());
      body.writeLong(region.lengthBytes());
      body.writeLong(region.fileOffset());
    }
    List<PageSample> samples = memory.map(MemoryIdentity::samples).orElse(List.of());
    body.writeInt(samples.size());
    for (PageSample sample : samples) {
      body.writeLong(sample.frame());
      body.writeUTF(sample.sha256());
    }
  }

  private static void writeDetails(DataOutputStream body, Map<String, String> details)
      throws IOException {
    body.writeInt(details.size());
    for (Map.Entry<String, String> detail : details.entrySet()) {
      body.writeUTF(detail.getKey());
      body.writeUTF(detail.getValue());
    }
  }

  private static MigrationRecord decodeBody(ByteArrayInputStream bytes) {
    try {
      MigrationRecord record = read(new DataInputStream(bytes));
      if (bytes.available() > 0) {
        throw new IllegalArgumentException(bytes.available() + " bytes follow the record");
      }
      return record;
    } catch (IOException e) {
      throw new IllegalArgumentException("it ends in the middle of the record", e);
    }
  }

  private static MigrationRecord read(DataInputStream body) throws IOException {
    MigrationRecord.Role role = role(body.readByte());
    MigrationRecord.Stage stage = stage(body.readByte());
    int attempt = body.readInt();
    UUID session = new UUID(body.readLong(), body.readLong());
    Instant time = Instant.ofEpochMilli(body.readLong());
    String guest = body.readUTF();
    String peer = body.readUTF();
    Optional<MemoryIdentity> memory = readMemory(body, guest);
    return new MigrationRecord(
        role, guest, session, attempt, stage, peer, time, memory, readDetails(body));
  }

  private static Optional<MemoryIdentity> readMemory(DataInputStream body, String guest)
      throws IOException {
    List<GuestRegion> regions = new ArrayList<>();
    for (int left = count("regions", body.readInt(), REGIONS_MAX); left > 0; left--) {
      regions.add(new GuestRegion(body.readLong(), body.readLong(), body.readLong()));
    }
    List<PageSample> samples = new ArrayList<>();
    int most = MemoryIdentity.SAMPLES_MAX;
    for (int left = count("samples", body.readInt(), most); left > 0; left--) {
      samples.add(new PageSample(body.readLong(), body.readUTF()));
    }
    return regions.isEmpty()
        ? Optional.empty()
        : Optional.of(new MemoryIdentity(new GuestLayout(guest, regions), samples));
  }

  private static Map<String, String> readDetails(DataInputStream body) throws IOException {
    Map<String, String> details = new HashMap<>();
    int most = MigrationRecord.DETAILS_MAX;
    for (int left = count("details", body.readInt(), most); left > 0; left--) {
      details.put(body.readUTF(), body.readUTF());
    }
    return details;
  }

  private static int count(String what, int count, int most) {
    if (count < 0 || count > most) {
      throw new IllegalArgumentException("%d %s; 0 to %d".formatted(count, what, most));
    }
    return count;
  }

  // Written out rather than taken from ordinal(): the file outlives the order of the constants.
  private static int code(MigrationRecord.Role role) {
    return switch (role) {
      case SOURCE -> 1;
      case DESTINATION -> 2;
    };
  }

  private static MigrationRecord.Role role(byte code) {
    return switch (code) {
      case 1 -> MigrationRecord.Role.SOURCE;
      case 2 -> MigrationRecord.Role.DESTINATION;
      default -> throw new IllegalArgumentException("role %d; 1 and 2 exist".formatted(code));
    };
  }

  private static int code(MigrationRecord.Stage stage) {
    return switch (stage) {
      case OFFERED -> 1;
      case MAP_APPLIED -> 2;
      case RESUMED -> 3;
      case HANDED_OVER -> 4;
      case COMPLETE -> 5;
    };
  }

  private static MigrationRecord.Stage stage(byte code) {
    return switch (code) {
      case 1 -> MigrationRecord.Stage.OFFERED;
      case 2 -> MigrationRecord.Stage.MAP_APPLIED;
      case 3 -> MigrationRecord.Stage.RESUMED;
      case 4 -> MigrationRecord.Stage.HANDED_OVER;
      case 5 -> MigrationRecord.Stage.COMPLETE;
      default -> throw new IllegalArgumentException("stage %d; 1 to 5 exist".formatted(code));
    };
  }

  private static int sum(byte[] bytes, int end) {
    CRC32C sum = new CRC32C();
    sum.update(bytes, 0, end);
    return (int) sum.getValue();
  }
}
