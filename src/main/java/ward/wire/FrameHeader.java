package ward.wire;

import io.netty.buffer.ByteBuf;

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
 *  |             reserved for a checksum of the body, 0 (u32)      |
 *  +---------------------------------------------------------------+
 *  |        request id (u64): the answer's is the request's,       |
 *  |        0 where nobody asked                                   |
 *  +---------------------------------------------------------------+
 * </pre>
 *
 * <p>A newer minor version may give the reserved fields a meaning that an older one can do without;
 * from any other peer they must be 0.
 *
 * @param bodyBytes unsigned, not yet believed
 * @param pageCount unsigned, not yet believed
 * @param reservedBits flags and both reserved fields; 0 unless the peer uses one
 */
record FrameHeader(
    long bodyBytes,
    int kindNumber,
    long reservedBits,
    long guestPhysicalAddress,
    long pageCount,
    long requestId) {

  static final int BYTES = 32;

  static FrameHeader of(FrameKind kind, long bodyBytes) {
    return new FrameHeader(bodyBytes, kind.number(), 0, 0, 0, 0);
  }

  static FrameHeader of(FrameKind kind, long bodyBytes, PageFrame range) {
    return new FrameHeader(
        bodyBytes,
        kind.number(),
        0,
        range.guestPhysicalAddress(),
        range.pageCount(),
        range.requestId());
  }

  static FrameHeader readFrom(ByteBuf in) {
    long bodyBytes = in.readUnsignedIntLE();
    int kindNumber = in.readUnsignedByte();
    long flags = in.readUnsignedByte();
    long reserved = in.readUnsignedShortLE();
    long guestPhysicalAddress = in.readLongLE();
    long pageCount = in.readUnsignedIntLE();
    long checksum = in.readUnsignedIntLE();
    return new FrameHeader(
        bodyBytes,
        kindNumber,
        flags | reserved << 8 | checksum << 32,
        guestPhysicalAddress,
        pageCount,
        in.readLongLE());
  }

  void writeTo(ByteBuf out) {
    out.writeIntLE((int) bodyBytes);
    out.writeByte(kindNumber);
    out.writeZero(Byte.BYTES + Short.BYTES);
    out.writeLongLE(guestPhysicalAddress);
    out.writeIntLE((int) pageCount);
    out.writeZero(Integer.BYTES);
    out.writeLongLE(requestId);
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
