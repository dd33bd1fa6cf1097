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
 * Takes each frame apart, so that its body begins at a multiple of 2 MiB, in memory that an ioctl
 * may take away: a huge page goes from the socket into a guest without being copied. All that ever
 * waits in this process for its place in the guest is one frame.
 *
 * <p>The header is received right before the body's place. It costs a call for each frame, which a
 * body of 2 MiB does not notice.
 */
final class Staging implements Inbox {

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
    if (frames.isBetweenFrames()) {
      int header = StagingMemory.LEAD_BYTES - frames.missingBytes();
      bytes.setIndex(header, header);
    }
    int missing = frames.missingBytes(); // and no more: what follows belongs elsewhere
    if (missing > bytes.writableBytes()) {
      throw new ProtocolException(
          "a frame with a body of more than %d bytes came on a connection for pages"
              .formatted(StagingMemory.BODY_BYTES));
    }
    return missing;
  }

  /** Without a look: nobody waits for these pages, and a look takes a processor from who does. */
  @Override
  public long receive(StreamSocket socket, long address, long lengthBytes) {
    return socket.receive(address, lengthBytes, true);
  }

  @Override
  public void close() {
    memory.close();
  }
}
