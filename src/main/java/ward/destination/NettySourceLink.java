package ward.destination;

import io.netty.channel.Channel;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInitializer;
import io.netty.channel.SimpleChannelInboundHandler;
import io.netty.channel.group.ChannelGroup;
import io.netty.channel.group.DefaultChannelGroup;
import io.netty.util.concurrent.GlobalEventExecutor;
import java.util.UUID;
import ward.wire.ConnectionKind;
import ward.wire.ControlMessage.Hello;
import ward.wire.Frame;
import ward.wire.HelloCompleted;
import ward.wire.HelloHandler;
import ward.wire.PageAnswer;
import ward.wire.ProtocolVersion;
import ward.wire.Role;
import ward.wire.Transport;
import ward.wire.WardPipeline;

/** The link over TCP. */
public final class NettySourceLink implements SourceLink {

  private final Transport transport;
  private final ChannelGroup channels =
      new DefaultChannelGroup(GlobalEventExecutor.INSTANCE, true); // closed stays closed
  private volatile boolean closing;

  public NettySourceLink(Transport transport) {
    this.transport = transport;
  }

  @Override
  public void connect(
      DestinationSettings settings, UUID session, ConnectionKind kind, Events events) {
    Hello hello = new Hello(Role.DESTINATION, kind, session, ProtocolVersion.OURS, settings.host());
    ChannelInitializer<Channel> pipeline =
        new ChannelInitializer<>() {
          @Override
          protected void initChannel(Channel channel) {
            channels.add(channel);
            WardPipeline.install(
                channel,
                HelloHandler.dialling(hello).within(settings.handshakeLimit()),
                new Connection(events));
          }
        };
    transport
        .connectAsync(settings.source(), pipeline)
        .whenComplete(
            (channel, failure) -> {
              if (failure != null) {
                events.lost(failure);
              }
            });
  }

  @Override
  public void close() {
    closing = true;
    channels.close();
  }

  /** Translates one connection's events; knows no memory, no policy, no state. */
  private final class Connection extends SimpleChannelInboundHandler<Frame> {

    private final Events events;
    private Throwable cause;

    Connection(Events events) {
      super(false);
      this.events = events;
    }

    @Override
    public void userEventTriggered(ChannelHandlerContext context, Object event) {
      if (event instanceof HelloCompleted) {
        events.ready(context.channel());
      } else {
        context.fireUserEventTriggered(event);
      }
    }

    @Override
    protected void channelRead0(ChannelHandlerContext context, Frame frame) throws Exception {
      try {
        events.frame(context.channel(), frame);
      } finally {
        if (frame instanceof PageAnswer.Data data) {
          data.body().release();
        }
      }
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
      if (!closing) {
        events.lost(cause);
      }
    }
  }
}
