package ward.channel;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.Unpooled;
import ward.kernel.StreamSocket;
import ward.wire.FrameScanner;

/** Takes whatever has come, many small frames by one call, and looks before it waits. */
final class ReadAhead implements Inbox {

  private static final int BYTES = 256 << 10;

  private final ByteBuf bytes = Unpooled.directBuffer(BYTES);
  private final Patience patience = new Patience();

  @Override
  public ByteBuf bytes() {
    return bytes;
  }

  @Override
  public int makeRoom(FrameScanner frames) {
    if (!bytes.isReadable()) {
      bytes.clear();
    } else if (bytes.writableBytes() < Math.max(frames.missingBytes(), BYTES / 4)) {
      bytes.discardReadBytes();
      bytes.ensureWritable(frames.missingBytes());
    }
    return bytes.writableBytes();
  }

  @Override
  public long receive(StreamSocket socket, long address, long lengthBytes) {
    return patience.receive(socket, address, lengthBytes);
  }

  @Override
  public void close() {
    bytes.release();
  }
}
