package ward.channel;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.Unpooled;
import java.io.IOException;
import ward.kernel.NativeKernel;
import ward.kernel.StagingMemory;
import ward.kernel.StreamSocket;
import ward.wire.FrameScanner;
import ward.wire.ProtocolException;

/**
 * Brings the bytes of pages to a multiple of 2 MiB, in memory that an ioctl may take away: a huge
 * page goes from the socket into a guest without being copied. All that ever waits in this process
 * for its place in the guest is what fits there, one large frame or several small ones.
 *
 * <p>The header of a large frame is received right before its body's place. It costs a call for
 * each, which 2 MiB do not notice. A small frame is followed by more of the kind, as a rule: they
 * are received together, and only what the last one lacks is received at its place.
 */
final class Staging implements Inbox {

  private static final int SMALL_BYTES = 64 << 10;
  private static final int AHEAD_BYTES = 256 << 10;

  private final StagingMemory memory;
  private final ByteBuf bytes;

  Staging() throws IOException {
    memory = StagingMemory.map(NativeKernel.load());
    bytes = Unpooled.wrappedBuffer(memory.bytes()).clear();
  }

  @Override
  public ByteBuf bytes() {
    return bytes;
  }

  @Override
  public int makeRoom(FrameScanner frames) {
    bring(StagingMemory.LEAD_BYTES - frames.bytesAheadOfPages());
    int missing = frames.missingBytes();
    if (missing > bytes.writableBytes()) {
      throw new ProtocolException(
          "a frame with a body of more than %d bytes came on a connection for pages"
              .formatted(StagingMemory.BODY_BYTES));
    }
    // Behind a large frame, no more: what follows belongs where that one's bytes are now.
    return frames.bodyBytes() > SMALL_BYTES
        ? missing
        : Math.max(missing, Math.min(AHEAD_BYTES, bytes.writableBytes()));
  }

  /** Moves what was received and not read, perhaps nothing. */
  private void bring(int index) {
    int readable = bytes.readableBytes();
    if (readable > 0 && bytes.readerIndex() != index) {
      bytes.setBytes(index, bytes, bytes.readerIndex(), readable);
    }
    bytes.setIndex(index, index + readable);
  }

  /** Without a look: nobody waits for these pages, and a look takes a processor from who does. */
  @Override
  public long receive(StreamSocket socket, long address, long lengthBytes) {
    return socket.receive(address, Math.min(lengthBytes, StreamSocket.CALL_BYTES_MAX), true);
  }

  @Override
  public void close() {
    memory.close();
  }
}
