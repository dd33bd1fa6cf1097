package ward.wire;

import io.netty.buffer.ByteBuf;
import io.netty.channel.ChannelDuplexHandler;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelPromise;
import ward.wire.PageAnswer.Data;

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
      context.write(bytesOf(context, frame), promise);
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
    ByteBuf header = context.alloc().directBuffer(FrameHeader.BYTES);
    FrameHeader.of(data).writeTo(header);
    context.write(header);
    context.write(data.body(), promise);
  }

  private static ByteBuf bytesOf(ChannelHandlerContext context, Frame frame) {
    ByteBuf out = context.alloc().directBuffer(FrameHeader.BYTES);
    try {
      FrameBytes.write(frame, out);
      return out;
    } catch (RuntimeException e) {
      out.release();
      throw e;
    }
  }
}
