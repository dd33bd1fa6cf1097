package ward.channel;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.Unpooled;
import io.netty.channel.Channel;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInboundHandlerAdapter;
import io.netty.channel.unix.UnixChannel;
import io.netty.util.NetUtil;
import java.io.IOException;
import java.net.InetSocketAddress;
import ward.kernel.StreamSocket;
import ward.wire.FrameDecoder;
import ward.wire.HelloCompleted;
import ward.wire.ProtocolVersion;

/**
 * Takes a connection away from its event loop once both sides have said Hello.
 *
 * <p>In the pipeline's session place: it waits for {@link HelloCompleted}, and what Netty has read
 * beyond the Hello goes along.
 */
public final class Takeover extends ChannelInboundHandlerAdapter {

  private final Listener listener;
  private final ByteBuf early = Unpooled.directBuffer();
  private Throwable cause;
  private boolean taking;

  /** What comes of it, on the event loop; one of the two, once. */
  public interface Listener {

    /** The connection has left its event loop. */
    void taken(HelloCompleted hello, PageChannel channel);

    /**
     * It ended before.
     *
     * @param cause null if the peer closed it without a word
     */
    void lost(Throwable cause);
  }

  public Takeover(Listener listener) {
    this.listener = listener;
  }

  @Override
  public void userEventTriggered(ChannelHandlerContext context, Object event) {
    if (event instanceof HelloCompleted hello) {
      taking = true;
      context.channel().config().setAutoRead(false); // before anything behind the Hello is read
      // At once, in the middle of its work: what follows the Hello would become frames here, or
      // half a frame that nobody finishes. It hands on the bytes that it has not decoded.
      context.pipeline().remove(FrameDecoder.class);
      context.executor().execute(() -> leave(context, hello)); // when nobody is at work in it
    } else {
      context.fireUserEventTriggered(event);
    }
  }

  private void leave(ChannelHandlerContext context, HelloCompleted hello) {
    Channel channel = context.channel();
    if (!channel.isActive()) {
      end(cause);
      return;
    }
    channel
        .deregister()
        .addListener(
            left -> {
              if (left.isSuccess() && channel.isOpen()) {
                take(channel, hello);
              } else {
                end(left.cause());
              }
            });
  }

  private void take(Channel channel, HelloCompleted hello) {
    try {
      listener.taken(hello, taken(channel, hello.peer().version()));
    } catch (IOException e) {
      listener.lost(e);
    } finally {
      early.release();
      channel.close(); // its descriptor; the connection has another one now
    }
  }

  private PageChannel taken(Channel channel, ProtocolVersion peer) throws IOException {
    String name =
        "peer " + NetUtil.toSocketAddressString((InetSocketAddress) channel.remoteAddress());
    int descriptor = ((UnixChannel) channel).fd().intValue();
    return new PageChannel(StreamSocket.take(descriptor, name), early, peer, name);
  }

  private void end(Throwable failure) {
    early.release();
    listener.lost(failure);
  }

  @Override
  public void channelRead(ChannelHandlerContext context, Object message) {
    ByteBuf bytes = (ByteBuf) message; // frames before the Hello are refused before they come here
    early.writeBytes(bytes);
    bytes.release();
  }

  @Override
  public void exceptionCaught(ChannelHandlerContext context, Throwable thrown) {
    if (cause == null) {
      cause = thrown;
    }
    context.close();
  }

  @Override
  public void channelInactive(ChannelHandlerContext context) {
    if (!taking) {
      end(cause);
    }
  }
}
