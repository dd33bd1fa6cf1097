package ward.wire;

import io.netty.buffer.ByteBuf;
import java.nio.ByteBuffer;

/**
 * What precedes every frame's body. Little-endian.
 *
 * <pre>
 *   0                   1                   2                   3
 *   0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 *  +---------------------------------------------------------------+
 *  |                    body length, bytes (u32)                   |
 *  +---------------+---------------+-------------------------------+
 *  |   kind (u8)   | flags, 0 (u8) |       reserved, 0 (u16)       |
 *  +---------------+---------------+-------------------------------+
 *  |              guest-physical address, bytes (u64)              |
 *  |                                                               |
 *  +---------------------------------------------------------------+
 *  |                    pages of 4 KiB (u32)                       |
 *  +---------------------------------------------------------------+
 *  |       content's checksum (u32): CRC32C of kind (u8),          |
 *  |       address (u64), pages (u32) and body, in this order      |
 *  +---------------------------------------------------------------+
 *  |        request id (u64): the answer's is the request's,       |
 *  |        0 where nobody asked                                   |
 *  +---------------------------------------------------------------+
 *  |       header's checksum (u32): CRC32C of all of the above     |
 *  +---------------------------------------------------------------+
 * </pre>
 *
 * <p>Two sums, as in iSCSI (RFC 3720, HeaderDigest and DataDigest), because two things follow. A
 * header that is not what was sent ends the connection: nobody knows where the next frame begins. A
 * body that is not what was sent loses that body only, and the header tells what to ask for again.
 *
 * <p>The layout and both sums are the same in every major version, as {@code Hello} is read before
 * versions are agreed. A newer minor version may give flags and the reserved field a meaning that
 * an older one can do without; from any other peer they must be 0.
 *
 * @param bodyBytes unsigned, not yet believed
 * @param pageCount unsigned, not yet believed
 * @param reservedBits flags and the reserved field; 0 unless the peer uses one
 * @param contentChecksum of the body and where it belongs, by its sender
 */
record FrameHeader(
    long bodyBytes,
    int kindNumber,
    long reservedBits,
    long guestPhysicalAddress,
    long pageCount,
    int contentChecksum,
    long requestId) {

  /**
   * Where the fields are, for those who read and write them in place: two by a word of 8 bytes, of
   * which they are the lower and the upper half.
   */
  static final int LENGTH_AND_KIND_AT = 0;

  static final int ADDRESS_AT = 8;
  static final int PAGES_AND_SUM_AT = 16;
  static final int REQUEST_AT = 24;
  static final int SUMMED_BYTES = 32;

  static final int BYTES = SUMMED_BYTES + Integer.BYTES;

  private static final long LOWER_HALF = 0xffffffffL;
  private static final int KIND_SHIFT = Integer.SIZE;
  private static final int KIND_MASK = 0xff;
  private static final int RESERVED_SHIFT = KIND_SHIFT + Byte.SIZE;

  /** The first word, reserved fields 0. */
  static long lengthAndKind(int bodyBytes, int kindNumber) {
    return bodyBytes | (long) kindNumber << KIND_SHIFT;
  }

  /** Not yet believed. */
  static long bodyBytesIn(long lengthAndKind) {
    return lengthAndKind & LOWER_HALF;
  }

  static int kindNumberIn(long lengthAndKind) {
    return (int) (lengthAndKind >>> KIND_SHIFT) & KIND_MASK;
  }

  static boolean usesReserved(long lengthAndKind) {
    return lengthAndKind >>> RESERVED_SHIFT != 0;
  }

  /** The third word. */
  static long pagesAndSum(int pageCount, int contentChecksum) {
    return pageCount & LOWER_HALF | (long) contentChecksum << Integer.SIZE;
  }

  /** Of a frame that is about no range. */
  static FrameHeader of(FrameKind kind, ByteBuffer body) {
    return of(kind, 0, 0, 0, body);
  }

  static FrameHeader of(FrameKind kind, PageFrame range, ByteBuffer body) {
    return of(kind, range.guestPhysicalAddress(), range.pageCount(), range.requestId(), body);
  }

  private static FrameHeader of(
      FrameKind kind, long guestPhysicalAddress, int pageCount, long requestId, ByteBuffer body) {
    int number = kind.number();
    return new FrameHeader(
        body.remaining(),
        number,
        0,
        guestPhysicalAddress,
        pageCount,
        Checksum.ofContent(number, guestPhysicalAddress, pageCount, body),
        requestId);
  }

  /** The sum is the one that was made when the bytes were read, not of what they are by now. */
  static FrameHeader of(PageAnswer.Data data) {
    return new FrameHeader(
        data.body().readableBytes(),
        FrameKind.DATA.number(),
        0,
        data.guestPhysicalAddress(),
        data.pageCount(),
        data.checksum(),
        data.requestId());
  }

  /**
   * @throws TransmissionException if it is not what was sent
   */
  static FrameHeader readFrom(ByteBuf in) {
    int arrived = Checksum.of(in, in.readerIndex(), SUMMED_BYTES);
    FrameHeader header = readFieldsFrom(in);
    int sent = in.readIntLE();
    if (arrived != sent) {
      throw TransmissionException.disagreement("a frame's header", sent, arrived);
    }
    return header;
  }

  private static FrameHeader readFieldsFrom(ByteBuf in) {
    long bodyBytes = in.readUnsignedIntLE();
    int kindNumber = in.readUnsignedByte();
    long flags = in.readUnsignedByte();
    long reserved = in.readUnsignedShortLE();
    long guestPhysicalAddress = in.readLongLE();
    long pageCount = in.readUnsignedIntLE();
    int contentChecksum = in.readIntLE();
    return new FrameHeader(
        bodyBytes,
        kindNumber,
        flags | reserved << 8,
        guestPhysicalAddress,
        pageCount,
        contentChecksum,
        in.readLongLE());
  }

  void writeTo(ByteBuf out) {
    int start = out.writerIndex();
    out.writeIntLE((int) bodyBytes);
    out.writeByte(kindNumber);
    out.writeByte((int) reservedBits);
    out.writeShortLE((int) (reservedBits >>> 8));
    out.writeLongLE(guestPhysicalAddress);
    out.writeIntLE((int) pageCount);
    out.writeIntLE(contentChecksum);
    out.writeLongLE(requestId);
    out.writeIntLE(Checksum.of(out, start, SUMMED_BYTES));
  }

  /** What {@link #contentChecksum} is if the body is what was sent. */
  int checksumWith(ByteBuf body) {
    return Checksum.ofContent(kindNumber, guestPhysicalAddress, pageCount, body);
  }

  /**
   * @throws IllegalArgumentException naming the first field that a frame of this kind may not have
   */
  void requireAllowed(FrameKind kind) {
    if (kind.hasRange()) {
      kind.requireRange(guestPhysicalAddress, pageCount);
    } else if (guestPhysicalAddress != 0 || pageCount != 0 || requestId != 0) {
      throw new IllegalArgumentException(
          "%s with address 0x%x, %d pages, request %s; all must be 0"
              .formatted(kind, guestPhysicalAddress, pageCount, Long.toUnsignedString(requestId)));
    }
    kind.requireBody(bodyBytes, pageCount);
  }
}
