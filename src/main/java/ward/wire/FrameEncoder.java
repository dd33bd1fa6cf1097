package ward.wire;

import io.netty.buffer.ByteBuf;
import io.netty.channel.ChannelDuplexHandler;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelPromise;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import ward.wire.PageAnswer.Data;
import ward.wire.proto.WireProto;

/**
 * Turns {@link Frame}s into bytes. Sends the preface as soon as the channel is active.
 *
 * <p>The body of {@link Data} is handed to the transport as it is. Every body is released, whatever
 * becomes of the write. A frame that cannot be encoded fails its own write and nothing else.
 */
public final class FrameEncoder extends ChannelDuplexHandler {

  private static final ByteBuffer NO_BODY = ByteBuffer.allocate(0);

  private boolean prefaceSent;

  @Override
  public void handlerAdded(ChannelHandlerContext context) {
    if (context.channel().isActive()) {
      sendPreface(context);
    }
  }

  @Override
  public void channelActive(ChannelHandlerContext context) {
    sendPreface(context);
    context.fireChannelActive();
  }

  private void sendPreface(ChannelHandlerContext context) {
    if (!prefaceSent) {
      prefaceSent = true;
      ByteBuf preface = context.alloc().directBuffer(Preface.BYTES);
      Preface.writeTo(preface);
      context.writeAndFlush(preface);
    }
  }

  @Override
  public void write(ChannelHandlerContext context, Object message, ChannelPromise promise) {
    if (message instanceof Data data) {
      writeData(context, data, promise);
    } else if (message instanceof Frame frame) {
      context.write(encoded(context, frame), promise);
    } else {
      context.write(message, promise);
    }
  }

  private static void writeData(ChannelHandlerContext context, Data data, ChannelPromise promise) {
    // A write that is given up half way would leave a header without its body.
    if (!promise.setUncancellable()) {
      data.release();
      return;
    }
    context.write(headerOnly(context, FrameHeader.of(data)));
    context.write(data.body(), promise);
  }

  private static ByteBuf encoded(ChannelHandlerContext context, Frame frame) {
    if (frame instanceof ControlFrame control) {
      return message(context, control.message());
    }
    if (frame instanceof PageAnswer.Poisoned poisoned) {
      return poisoned(context, poisoned);
    }
    if (frame instanceof PageAnswer.Failed failed) {
      return failed(context, failed);
    }
    FrameHeader header =
        frame instanceof PageFrame range
            ? FrameHeader.of(bodilessKind(range), range, NO_BODY)
            : FrameHeader.of(kindOfWord(frame), NO_BODY);
    return headerOnly(context, header);
  }

  private static FrameKind kindOfWord(Frame frame) {
    if (frame instanceof Ping) {
      return FrameKind.PING;
    }
    return frame instanceof Pong ? FrameKind.PONG : FrameKind.STREAM_END;
  }

  private static FrameKind bodilessKind(PageFrame frame) {
    if (frame instanceof PageRequest) {
      return FrameKind.REQUEST;
    }
    if (frame instanceof PageAnswer.Zero) {
      return FrameKind.ZERO;
    }
    if (frame instanceof PageAnswer.NotYet) {
      return FrameKind.NOT_YET;
    }
    if (frame instanceof PageAnswer.OutOfRange) {
      return FrameKind.OUT_OF_RANGE;
    }
    throw new IllegalArgumentException(frame + " is what becomes of a frame; nobody sends it");
  }

  private static ByteBuf headerOnly(ChannelHandlerContext context, FrameHeader header) {
    ByteBuf out = context.alloc().directBuffer(FrameHeader.BYTES);
    header.writeTo(out);
    return out;
  }

  private static ByteBuf message(ChannelHandlerContext context, ControlMessage message) {
    byte[] body = MessageWriter.toProto(message).toByteArray();
    if (body.length > FrameKind.MESSAGE.bodyBytesMax()) {
      throw new IllegalArgumentException(
          "%s is a message of %d bytes; at most %d"
              .formatted(
                  message.getClass().getSimpleName(),
                  body.length,
                  FrameKind.MESSAGE.bodyBytesMax()));
    }
    return withBody(context, FrameHeader.of(FrameKind.MESSAGE, ByteBuffer.wrap(body)), body);
  }

  private static ByteBuf poisoned(ChannelHandlerContext context, PageAnswer.Poisoned answer) {
    byte[] body =
        WireProto.PoisonedPages.newBuilder()
            .setEntries(PoisonEntries.toProto(answer.entries()))
            .build()
            .toByteArray();
    FrameKind.POISONED.requireBody(body.length, answer.pageCount());
    return answer(context, FrameKind.POISONED, answer, body);
  }

  private static ByteBuf failed(ChannelHandlerContext context, PageAnswer.Failed answer) {
    byte[] reason = answer.reason().getBytes(StandardCharsets.UTF_8);
    return answer(context, FrameKind.FAILED, answer, reason);
  }

  private static ByteBuf answer(
      ChannelHandlerContext context, FrameKind kind, PageAnswer answer, byte[] body) {
    return withBody(context, FrameHeader.of(kind, answer, ByteBuffer.wrap(body)), body);
  }

  private static ByteBuf withBody(ChannelHandlerContext context, FrameHeader header, byte[] body) {
    ByteBuf out = context.alloc().directBuffer(FrameHeader.BYTES + body.length);
    header.writeTo(out);
    return out.writeBytes(body);
  }
}
