package ward.testbed;

import io.netty.channel.Channel;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInboundHandlerAdapter;
import io.netty.channel.ChannelInitializer;
import java.net.InetSocketAddress;
import java.util.List;
import java.util.Optional;
import java.util.function.Consumer;
import java.util.function.UnaryOperator;
import ward.memory.GuestLayout;
import ward.memory.GuestRegion;
import ward.memory.PageSet;
import ward.poison.LedgerDigest;
import ward.wire.ConnectionKind;
import ward.wire.ControlFrame;
import ward.wire.ControlMessage;
import ward.wire.ControlMessage.Hello;
import ward.wire.Frame;
import ward.wire.HelloCompleted;
import ward.wire.HelloHandler;
import ward.wire.PageRequest;
import ward.wire.ProtocolVersion;
import ward.wire.Role;
import ward.wire.Transport;
import ward.wire.TransportException;
import ward.wire.WardPipeline;

/** Offers a guest of sixteen empty pages by the protocol, up to the point where it lies. */
final class FakeSource implements AutoCloseable {

  static final GuestLayout LAYOUT =
      new GuestLayout("fake", List.of(new GuestRegion(0, 16 << 12, 0)));

  private final Transport transport;
  private final Channel listening;

  /** What it does instead of what the protocol asks for. */
  interface Lie {

    /** In place of an honest poison map, after an honest offer. */
    default void map(Consumer<Frame> out) {
      PageSet none = new PageSet();
      out.accept(new ControlFrame(new ControlMessage.PoisonMapEnd(0, LedgerDigest.ofFrames(none))));
    }

    /** In place of an answer to a demand fault. */
    default void answer(PageRequest request, Consumer<Frame> out) {}
  }

  FakeSource(Lie lie) throws TransportException {
    this(lie, hello -> hello);
  }

  /**
   * @param introduction changes its Hello
   */
  FakeSource(Lie lie, UnaryOperator<Hello> introduction) throws TransportException {
    transport = Transport.open("fake-source", 1);
    listening =
        transport.listen(
            new InetSocketAddress("127.0.0.1", 0),
            new ChannelInitializer<Channel>() {
              @Override
              protected void initChannel(Channel channel) {
                HelloHandler hello =
                    HelloHandler.accepting(
                        peer -> Optional.empty(), peer -> introduction.apply(helloTo(peer)));
                WardPipeline.install(channel, hello, new Conversation(lie));
              }
            });
  }

  private static Hello helloTo(Hello peer) {
    return new Hello(
        Role.SOURCE, peer.kind(), peer.session(), peer.attempt(), ProtocolVersion.OURS, "fake");
  }

  int port() {
    return ((InetSocketAddress) listening.localAddress()).getPort();
  }

  private static final class Conversation extends ChannelInboundHandlerAdapter {

    private final Lie lie;

    Conversation(Lie lie) {
      this.lie = lie;
    }

    @Override
    public void userEventTriggered(ChannelHandlerContext context, Object event) {
      if (event instanceof HelloCompleted completed
          && completed.peer().kind() == ConnectionKind.CONTROL) {
        context.writeAndFlush(new ControlFrame(new ControlMessage.GuestOffer(LAYOUT, new byte[0])));
        lie.map(context::writeAndFlush);
      }
    }

    @Override
    public void channelRead(ChannelHandlerContext context, Object message) {
      if (message instanceof PageRequest request) {
        lie.answer(request, context::writeAndFlush);
      }
      if (message instanceof ControlFrame control
          && control.message() instanceof ControlMessage.PoisonMapApplied) {
        context.writeAndFlush(new ControlFrame(new ControlMessage.GuestReleased(List.of())));
      }
    }

    @Override
    public void exceptionCaught(ChannelHandlerContext context, Throwable cause) {
      context.close();
    }
  }

  @Override
  public void close() {
    transport.close();
  }
}
