package ward.channel;

import io.netty.buffer.ByteBuf;
import java.io.IOException;
import ward.kernel.StreamSocket;
import ward.wire.FrameScanner;

/** Where what comes on a channel lies while its frames are read. One thread's. */
interface Inbox extends AutoCloseable {

  /** Makes one, on the thread that will use it. */
  interface Maker {
    Inbox make() throws IOException;
  }

  /** Direct memory. */
  ByteBuf bytes();

  /**
   * Makes room behind what is still to be read.
   *
   * @return how many bytes may be received next; at least 1
   */
  int makeRoom(FrameScanner frames);

  /** As {@link StreamSocket#receive}, which waits. */
  long receive(StreamSocket socket, long address, long lengthBytes);

  @Override
  void close();
}
