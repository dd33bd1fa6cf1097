package ward.source;

import io.netty.channel.Channel;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInitializer;
import io.netty.channel.SimpleChannelInboundHandler;
import java.net.InetSocketAddress;
import java.util.function.Supplier;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import ward.channel.Takeover;
import ward.wire.ConnectionKind;
import ward.wire.ControlFrame;
import ward.wire.ControlMessage.Hello;
import ward.wire.Frame;
import ward.wire.HelloCompleted;
import ward.wire.HelloHandler;
import ward.wire.PageAnswer;
import ward.wire.ProtocolException;
import ward.wire.ProtocolVersion;
import ward.wire.Role;
import ward.wire.Transport;
import ward.wire.TransportException;
import ward.wire.WardPipeline;

/**
 * Accepts the connections of a migration over TCP.
 *
 * <p>A stranger - a port scanner, another version, a second destination - costs one line in the log
 * and nothing else: the guest waits for the one who has a session.
 */
public final class SourceServer implements AutoCloseable {

  private static final Logger log = LoggerFactory.getLogger(SourceServer.class);

  private final Channel listening;

  private SourceServer(Channel listening) {
    this.listening = listening;
  }

  /**
   * @param address port 0 takes any free port
   * @param sessions the session that a connection is for, asked when it comes: a guest that stayed
   *     gets another one
   * @throws TransportException if the address cannot be had
   */
  public static SourceServer listen(
      Transport transport,
      InetSocketAddress address,
      SourceSettings settings,
      Supplier<SourceSession> sessions)
      throws TransportException {
    ChannelInitializer<Channel> pipeline =
        new ChannelInitializer<>() {
          @Override
          protected void initChannel(Channel channel) {
            SourceSession session = sessions.get();
            HelloHandler hello =
                HelloHandler.accepting(session::judge, peer -> answer(peer, settings.host()))
                    .within(settings.handshakeLimit());
            WardPipeline.install(channel, hello, new Connection(session));
          }
        };
    return new SourceServer(transport.listen(address, pipeline));
  }

  private static Hello answer(Hello peer, String host) {
    return new Hello(
        Role.SOURCE, peer.kind(), peer.session(), peer.attempt(), ProtocolVersion.OURS, host);
  }

  /** Where it listens, with the port that was taken. */
  public InetSocketAddress address() {
    return (InetSocketAddress) listening.localAddress();
  }

  @Override
  public void close() {
    listening.close().awaitUninterruptibly();
  }

  /** Translates one connection's events; knows no memory, no policy, no state. */
  private static final class Connection extends SimpleChannelInboundHandler<Frame> {

    private final SourceSession session;
    private Hello peer; // null until the Hello is done
    private Throwable cause;

    Connection(SourceSession session) {
      super(false);
      this.session = session;
    }

    @Override
    public void userEventTriggered(ChannelHandlerContext context, Object event) {
      if (event instanceof HelloCompleted completed) {
        peer = completed.peer();
        onHello(context, completed);
      } else {
        context.fireUserEventTriggered(event);
      }
    }

    private void onHello(ChannelHandlerContext context, HelloCompleted completed) {
      if (peer.kind() == ConnectionKind.CONTROL) {
        session.connected(peer, context.channel());
      } else {
        Takeover takeover = new Takeover(forPages());
        context.pipeline().addAfter(context.name(), null, takeover);
        context.fireUserEventTriggered(completed);
        context.pipeline().remove(this);
      }
    }

    private Takeover.Listener forPages() {
      return switch (peer.kind()) {
        case URGENT -> new UrgentConnection(session, peer);
        case STREAM -> new StreamConnection(session, peer);
        case CONTROL, LOCAL ->
            throw new ProtocolException(peer.kind() + " connections come by the control socket");
      };
    }

    @Override
    protected void channelRead0(ChannelHandlerContext context, Frame frame) {
      if (frame instanceof ControlFrame message && peer.kind() == ConnectionKind.CONTROL) {
        session.onMessage(peer, message.message());
      } else {
        refuse(frame);
      }
    }

    private void refuse(Frame frame) {
      if (frame instanceof PageAnswer.Data data) {
        data.body().release();
      }
      throw new ProtocolException(
          "a source is never sent %s on a %s connection"
              .formatted(frame.getClass().getSimpleName(), peer.kind()));
    }

    @Override
    public void channelReadComplete(ChannelHandlerContext context) {
      context.flush();
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
      if (peer != null) {
        session.lost(peer, cause);
      } else {
        log.warn(
            "a connection was dropped: {}",
            cause == null ? "closed before it said Hello" : cause.getMessage());
      }
    }
  }
}
