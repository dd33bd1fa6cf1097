package ward.destination;

import io.netty.channel.Channel;
import io.netty.channel.ChannelHandler;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInitializer;
import io.netty.channel.SimpleChannelInboundHandler;
import io.netty.channel.group.ChannelGroup;
import io.netty.channel.group.DefaultChannelGroup;
import io.netty.util.concurrent.GlobalEventExecutor;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import ward.channel.PageChannels;
import ward.channel.Takeover;
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

  private volatile NettyAttempt last;

  public NettySourceLink(Transport transport) {
    this.transport = transport;
  }

  @Override
  public Attempt attempt(DestinationSettings settings, UUID session, int number) {
    last = new NettyAttempt(settings, session, number);
    return last;
  }

  @Override
  public void close() {
    NettyAttempt attempt = last;
    if (attempt != null) {
      attempt.close();
    }
  }

  private final class NettyAttempt implements Attempt {

    private final DestinationSettings settings;
    private final UUID session;
    private final int number;
    private final ChannelGroup channels =
        new DefaultChannelGroup(GlobalEventExecutor.INSTANCE, true); // closed stays closed
    private final PageChannels pageChannels = new PageChannels();
    private volatile boolean closing;

    NettyAttempt(DestinationSettings settings, UUID session, int number) {
      this.settings = settings;
      this.session = session;
      this.number = number;
    }

    @Override
    public void connect(ConnectionKind kind, Events events) {
      transport
          .connectAsync(settings.source(), pipeline(kind, events))
          .whenComplete(
              (channel, failure) -> {
                if (failure != null) {
                  events.lost(failure);
                }
              });
    }

    private ChannelInitializer<Channel> pipeline(ConnectionKind kind, Events events) {
      return new ChannelInitializer<>() {
        @Override
        protected void initChannel(Channel channel) {
          channels.add(channel);
          WardPipeline.install(
              channel,
              HelloHandler.dialling(hello(kind)).within(settings.handshakeLimit()),
              session(kind, events));
        }
      };
    }

    private ChannelHandler session(ConnectionKind kind, Events events) {
      return kind == ConnectionKind.CONTROL
          ? new Connection(events)
          : new Takeover(new PageConnection(kind, events, pageChannels));
    }

    private Hello hello(ConnectionKind kind) {
      return new Hello(
          Role.DESTINATION, kind, session, number, ProtocolVersion.OURS, settings.host());
    }

    @Override
    public CompletionStage<Void> close() {
      closing = true;
      CompletableFuture<Void> closed = new CompletableFuture<>();
      channels.close().addListener(done -> closed.complete(null));
      return closed.thenCombine(pageChannels.end(), (first, second) -> null);
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
        if (event instanceof HelloCompleted completed) {
          events.met(completed.peer());
          events.ready(context.channel());
        } else {
          context.fireUserEventTriggered(event);
        }
      }

      @Override
      protected void channelRead0(ChannelHandlerContext context, Frame frame) throws Exception {
        try {
          events.frame(frame);
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
}
