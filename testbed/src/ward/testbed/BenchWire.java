package ward.testbed;

import io.netty.buffer.ByteBuf;
import io.netty.channel.embedded.EmbeddedChannel;
import ward.poison.PoisonMap;
import ward.wire.ControlFrame;
import ward.wire.ControlMessage;
import ward.wire.FrameEncoder;

/** What a poison map weighs on the wire. */
final class BenchWire {

  private BenchWire() {}

  /** Bytes of all its messages, headers included, as {@link FrameEncoder} writes them. */
  static long mapBytes(PoisonMap losses) {
    EmbeddedChannel channel = new EmbeddedChannel(new FrameEncoder());
    discard(channel); // the preface belongs to the connection
    long bytes = 0;
    for (ControlMessage part : ControlMessage.PoisonMapPart.inParts(losses)) {
      channel.writeOutbound(new ControlFrame(part));
      bytes += discard(channel);
    }
    channel.finishAndReleaseAll();
    return bytes;
  }

  private static long discard(EmbeddedChannel channel) {
    long bytes = 0;
    for (ByteBuf next = channel.readOutbound(); next != null; next = channel.readOutbound()) {
      bytes += next.readableBytes();
      next.release();
    }
    return bytes;
  }
}
