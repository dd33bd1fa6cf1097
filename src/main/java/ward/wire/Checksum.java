package ward.wire;

import io.netty.buffer.ByteBuf;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.zip.CRC32C;

/**
 * CRC32C (Castagnoli, RFC 3720 appendix B.4), which processors compute by themselves. It finds
 * every error of up to three bits, and every burst of up to 32, in anything as long as a frame (P.
 * Koopman, "32-Bit Cyclic Redundancy Codes for Internet Applications", 2002); TCP's own sum of 16
 * bits finds neither.
 */
final class Checksum {

  /** Kind, address and page count, as the content's sum covers them. */
  static final int PLACE_BYTES = Byte.BYTES + Long.BYTES + Integer.BYTES;

  private Checksum() {}

  /** Of bytes that are one piece of memory. */
  static int of(ByteBuf bytes, int index, int lengthBytes) {
    CRC32C sum = new CRC32C();
    sum.update(bytes.nioBuffer(index, lengthBytes));
    return (int) sum.getValue();
  }

  /**
   * Of what a frame carries and where that belongs: a body at another address, or as another kind,
   * has another sum.
   *
   * @param body its readable bytes
   */
  static int ofContent(int kindNumber, long guestPhysicalAddress, long pageCount, ByteBuf body) {
    return ofContent(kindNumber, guestPhysicalAddress, pageCount, body.nioBuffer());
  }

  /**
   * Of what a frame carries and where that belongs.
   *
   * @param body its remaining bytes; they remain
   */
  static int ofContent(int kindNumber, long guestPhysicalAddress, long pageCount, ByteBuffer body) {
    ByteBuffer place = ByteBuffer.allocate(PLACE_BYTES).order(ByteOrder.LITTLE_ENDIAN);
    place.put((byte) kindNumber).putLong(guestPhysicalAddress).putInt((int) pageCount).flip();
    CRC32C sum = new CRC32C();
    sum.update(place);
    sum.update(body.duplicate());
    return (int) sum.getValue();
  }

  /** As error texts show it. */
  static String text(int checksum) {
    return "0x%08x".formatted(checksum);
  }
}
