package ward.wire;

import io.netty.buffer.ByteBuf;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.zip.CRC32C;

/** The sums of {@link FrameHeader}, of bytes in place, without an object for each. One thread's. */
final class FrameSums {

  private final CRC32C sum = new CRC32C();
  private final ByteBuffer place =
      ByteBuffer.allocateDirect(Checksum.PLACE_BYTES).order(ByteOrder.LITTLE_ENDIAN);

  int ofHeader(ByteBuf bytes, int index) {
    sum.reset();
    sum.update(bytes.internalNioBuffer(index, FrameHeader.SUMMED_BYTES));
    return (int) sum.getValue();
  }

  int ofContent(
      int kindNumber,
      long guestPhysicalAddress,
      int pageCount,
      ByteBuf bytes,
      int index,
      int lengthBytes) {
    place.clear();
    place.put((byte) kindNumber).putLong(guestPhysicalAddress).putInt(pageCount).flip();
    sum.reset();
    sum.update(place);
    if (lengthBytes > 0) {
      sum.update(bytes.internalNioBuffer(index, lengthBytes));
    }
    return (int) sum.getValue();
  }
}
