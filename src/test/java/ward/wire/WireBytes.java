package ward.wire;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.Unpooled;
import io.netty.buffer.UnpooledByteBufAllocator;
import io.netty.channel.ChannelHandler;
import io.netty.channel.embedded.EmbeddedChannel;
import java.nio.ByteBuffer;
import ward.wire.proto.WireProto;

/**
 * Bytes as a peer would send them, allowed or not, and channels without sockets to send them to.
 */
final class WireBytes {

  /** Counts what it has given out: {@link #unreleasedBytes()} is 0 when nothing has leaked. */
  private final UnpooledByteBufAllocator allocator = new UnpooledByteBufAllocator(true, true);

  long unreleasedBytes() {
    return allocator.metric().usedDirectMemory() + allocator.metric().usedHeapMemory();
  }

  EmbeddedChannel channel(ChannelHandler... handlers) {
    EmbeddedChannel channel = new EmbeddedChannel();
    channel.config().setAllocator(allocator);
    channel.pipeline().addLast(handlers);
    return channel;
  }

  /** A decoder that has seen the preface and the Hello of a peer of that version. */
  EmbeddedChannel decoderOf(ProtocolVersion peer) {
    EmbeddedChannel channel = channel(new FrameDecoder());
    channel.writeInbound(preface());
    channel.writeInbound(encoded(new ControlFrame(Messages.hello(peer))));
    channel.readInbound();
    return channel;
  }

  EmbeddedChannel decoder() {
    return decoderOf(ProtocolVersion.OURS);
  }

  ByteBuf direct(int capacityBytes) {
    return allocator.directBuffer(capacityBytes);
  }

  ByteBuf direct(byte[] content) {
    return direct(content.length).writeBytes(content);
  }

  ByteBuf zeros(int count) {
    return direct(count).writeZero(count);
  }

  ByteBuf preface() {
    ByteBuf bytes = direct(Preface.BYTES);
    Preface.writeTo(bytes);
    return bytes;
  }

  /** What {@link FrameEncoder} makes of a frame, without a preface, in one piece. */
  ByteBuf encoded(Frame frame) {
    EmbeddedChannel channel = channel(new FrameEncoder());
    channel.<ByteBuf>readOutbound().release(); // the preface
    channel.writeOutbound(frame);
    ByteBuf all = direct(FrameHeader.BYTES);
    for (ByteBuf part = channel.readOutbound(); part != null; part = channel.readOutbound()) {
      all.writeBytes(part);
      part.release();
    }
    channel.finishAndReleaseAll();
    return all;
  }

  /** With the right checksum of that body, whatever the header says. */
  ByteBuf frame(FrameHeader header, byte[] body) {
    ByteBuf bytes = direct(FrameHeader.BYTES + body.length);
    summed(header, body).writeTo(bytes);
    return bytes.writeBytes(body);
  }

  private static FrameHeader summed(FrameHeader header, byte[] body) {
    return new FrameHeader(
        header.bodyBytes(),
        header.kindNumber(),
        header.reservedBits(),
        header.guestPhysicalAddress(),
        header.pageCount(),
        header.checksumWith(Unpooled.wrappedBuffer(body)),
        header.requestId());
  }

  ByteBuf message(WireProto.Envelope envelope) {
    byte[] body = envelope.toByteArray();
    return frame(FrameHeader.of(FrameKind.MESSAGE, ByteBuffer.wrap(body)), body);
  }

  /** Its checksum is {@link #frame}'s business. */
  static FrameHeader header(
      int kind, long bodyBytes, long address, long pageCount, long requestId) {
    return new FrameHeader(bodyBytes, kind, 0, address, pageCount, 0, requestId);
  }

  static FrameHeader header(FrameKind kind, long bodyBytes, long address, long pageCount) {
    return header(kind.number(), bodyBytes, address, pageCount, 7);
  }

  /** All of them, and releases the buffer. */
  static byte[] bytesOf(ByteBuf buffer) {
    byte[] bytes = new byte[buffer.readableBytes()];
    buffer.readBytes(bytes);
    buffer.release();
    return bytes;
  }
}
