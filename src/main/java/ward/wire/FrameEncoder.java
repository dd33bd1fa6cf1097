package ward.wire;

import com.google.protobuf.CodedOutputStream;
import com.google.protobuf.MessageLite;
import io.netty.buffer.ByteBuf;
import io.netty.channel.ChannelDuplexHandler;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelPromise;
import java.io.IOException;
import java.io.UncheckedIOException;
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
    int bodyBytes = data.body().readableBytes();
    context.write(headerOnly(context, FrameHeader.of(FrameKind.DATA, bodyBytes, data)));
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
    return headerOnly(
        context,
        frame instanceof PageFrame range
            ? FrameHeader.of(bodilessKind(range), 0, range)
            : FrameHeader.of(FrameKind.STREAM_END, 0));
  }

  private static FrameKind bodilessKind(PageFrame frame) {
    if (frame instanceof PageRequest) {
      return FrameKind.REQUEST;
    }
    if (frame instanceof PageAnswer.Zero) {
      return FrameKind.ZERO;
    }
    return frame instanceof PageAnswer.NotYet ? FrameKind.NOT_YET : FrameKind.OUT_OF_RANGE;
  }

  private static ByteBuf headerOnly(ChannelHandlerContext context, FrameHeader header) {
    ByteBuf out = context.alloc().directBuffer(FrameHeader.BYTES);
    header.writeTo(out);
    return out;
  }

  private static ByteBuf message(ChannelHandlerContext context, ControlMessage message) {
    MessageLite body = MessageWriter.toProto(message);
    int bodyBytes = body.getSerializedSize();
    if (bodyBytes > FrameKind.MESSAGE.bodyBytesMax()) {
      throw new IllegalArgumentException(
          "%s is a message of %d bytes; at most %d"
              .formatted(
                  message.getClass().getSimpleName(), bodyBytes, FrameKind.MESSAGE.bodyBytesMax()));
    }
    return withBody(context, FrameHeader.of(FrameKind.MESSAGE, bodyBytes), body);
  }

  private static ByteBuf poisoned(ChannelHandlerContext context, PageAnswer.Poisoned answer) {
    MessageLite body =
        WireProto.PoisonedPages.newBuilder()
            .setEntries(PoisonEntries.toProto(answer.entries()))
            .build();
    int bodyBytes = body.getSerializedSize();
    FrameKind.POISONED.requireBody(bodyBytes, answer.pageCount());
    return withBody(context, FrameHeader.of(FrameKind.POISONED, bodyBytes, answer), body);
  }

  private static ByteBuf failed(ChannelHandlerContext context, PageAnswer.Failed answer) {
    byte[] reason = answer.reason().getBytes(StandardCharsets.UTF_8);
    ByteBuf out = context.alloc().directBuffer(FrameHeader.BYTES + reason.length);
    FrameHeader.of(FrameKind.FAILED, reason.length, answer).writeTo(out);
    return out.writeBytes(reason);
  }

  private static ByteBuf withBody(
      ChannelHandlerContext context, FrameHeader header, MessageLite body) {
    int bodyBytes = (int) header.bodyBytes();
    ByteBuf out = context.alloc().directBuffer(FrameHeader.BYTES + bodyBytes);
    header.writeTo(out);
    ByteBuffer room = out.nioBuffer(out.writerIndex(), bodyBytes);
    try {
      CodedOutputStream stream = CodedOutputStream.newInstance(room);
      body.writeTo(stream);
      stream.flush();
    } catch (IOException e) {
      out.release();
      throw new UncheckedIOException("no room for what was measured before", e);
    }
    return out.writerIndex(FrameHeader.BYTES + bodyBytes);
  }
}
