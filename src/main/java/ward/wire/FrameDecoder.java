package ward.wire;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.ByteBufAllocator;
import io.netty.channel.ChannelHandlerContext;
import io.netty.handler.codec.ByteToMessageDecoder;
import java.util.List;
import ward.wire.PageAnswer.Data;

/**
 * Cuts a connection's bytes, preface first, into {@link Frame}s.
 *
 * <p>The body of {@link Data} is a slice of what was received: of the read buffer itself where a
 * frame came in one read, else of one direct buffer in which its reads were put together. It is
 * never on the Java heap.
 *
 * <p>A violation is a {@link ProtocolException} in {@code exceptionCaught}, damage on the way a
 * {@link TransmissionException}; whatever comes behind it is dropped, and the session has to close
 * the channel. A connection that ends inside a frame is damage too, reported before {@code
 * channelInactive}. Only a damaged body of an answer about pages is no reason to close: it is a
 * {@link PageAnswer.Damaged}.
 */
public final class FrameDecoder extends ByteToMessageDecoder {

  /** Room behind an unfinished frame for what its last read brings of the next one. */
  private static final int READ_BYTES_MAX = Transport.READ_BYTES_MAX;

  private final FrameContent content = new FrameContent();
  private boolean prefaceSeen;
  private FrameHeader header; // null while the next one is still arriving
  private boolean broken;

  /** For one channel. */
  public FrameDecoder() {
    setCumulator(this::gather);
  }

  @Override
  protected void decode(ChannelHandlerContext context, ByteBuf in, List<Object> out) {
    if (broken) {
      in.skipBytes(in.readableBytes());
    } else if (!prefaceSeen) {
      readPreface(context, in);
    } else {
      readFrameFrom(context, in, out);
    }
  }

  private void readFrameFrom(ChannelHandlerContext context, ByteBuf in, List<Object> out) {
    try {
      readFrame(in, out);
    } catch (ProtocolException e) {
      breakOff(in);
      throw new ProtocolException(PeerName.of(context.channel()) + ": " + e.getMessage(), e);
    } catch (TransmissionException e) {
      breakOff(in);
      throw new TransmissionException(PeerName.of(context.channel()) + ": " + e.getMessage());
    }
  }

  private void breakOff(ByteBuf in) {
    broken = true;
    in.skipBytes(in.readableBytes());
  }

  private void readPreface(ChannelHandlerContext context, ByteBuf in) {
    int wrongBits = Preface.wrongBits(in);
    if (wrongBits > Preface.DAMAGED_BITS_MAX) {
      String shown = Preface.shown(in);
      breakOff(in);
      throw new ProtocolException(
          "%s is not Ward: it began with %s".formatted(PeerName.of(context.channel()), shown));
    }
    if (in.readableBytes() >= Preface.BYTES) {
      requireUndamaged(context, in, wrongBits);
      in.skipBytes(Preface.BYTES);
      prefaceSeen = true;
    }
  }

  private void requireUndamaged(ChannelHandlerContext context, ByteBuf in, int wrongBits) {
    if (wrongBits > 0) {
      String shown = Preface.shown(in.readSlice(Preface.BYTES));
      breakOff(in);
      throw new TransmissionException(
          "%s: the preface came as %s: something on the way changed it"
              .formatted(PeerName.of(context.channel()), shown));
    }
  }

  private void readFrame(ByteBuf in, List<Object> out) {
    if (header == null) {
      if (in.readableBytes() < FrameHeader.BYTES) {
        return;
      }
      header = FrameHeader.readFrom(in);
      content.requireAllowed(header);
    }
    if (in.readableBytes() >= header.bodyBytes()) {
      FrameHeader complete = header;
      header = null;
      addFrame(complete, in, out);
    }
  }

  private void addFrame(FrameHeader header, ByteBuf in, List<Object> out) {
    ByteBuf body = in.readSlice((int) header.bodyBytes());
    content.read(header, body).ifPresent(out::add);
  }

  @Override
  protected void decodeLast(ChannelHandlerContext context, ByteBuf in, List<Object> out) {
    String missing = broken ? "" : missing(in);
    breakOff(in); // the input may end twice: once shut down, once closed
    if (!missing.isEmpty()) {
      context.fireExceptionCaught(
          new TransmissionException(
              "%s: the connection ended inside %s"
                  .formatted(PeerName.of(context.channel()), missing)));
    }
  }

  private String missing(ByteBuf in) {
    if (header != null) {
      String kind = FrameKind.of(header.kindNumber()).map(Enum::name).orElse("a skipped frame");
      return "%s: %d of %d body bytes came".formatted(kind, in.readableBytes(), header.bodyBytes());
    }
    if (!in.isReadable()) {
      return "";
    }
    return prefaceSeen
        ? "a frame's header: %d of %d bytes came".formatted(in.readableBytes(), FrameHeader.BYTES)
        : "the preface: %d of %d bytes came".formatted(in.readableBytes(), Preface.BYTES);
  }

  /**
   * Puts reads together. Where the frame's length is known, room for all of it is made at once:
   * growing by doubling would copy a large frame several times over.
   */
  private ByteBuf gather(ByteBufAllocator allocator, ByteBuf gathered, ByteBuf arrived) {
    ByteBuf roomy = gathered;
    if (header != null && gathered.isReadable() && gathered != arrived) {
      int missingBytes = (int) header.bodyBytes() - gathered.readableBytes();
      if (missingBytes > gathered.maxFastWritableBytes()) {
        roomy = allocator.directBuffer((int) header.bodyBytes() + READ_BYTES_MAX);
        roomy.writeBytes(gathered);
        gathered.release();
      }
    }
    return MERGE_CUMULATOR.cumulate(allocator, roomy, arrived);
  }
}
