package ward.testbed;

import io.netty.channel.Channel;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInboundHandlerAdapter;
import io.netty.channel.ChannelInitializer;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.util.UUID;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import ward.wire.ConnectionKind;
import ward.wire.ControlFrame;
import ward.wire.ControlMessage;
import ward.wire.ControlMessage.Hello;
import ward.wire.HelloHandler;
import ward.wire.ProtocolVersion;
import ward.wire.Role;
import ward.wire.Transport;
import ward.wire.TransportException;
import ward.wire.WardPipeline;

/** Comes for a guest, is told all about it, and leaves without it. */
final class FickleDestination implements AutoCloseable {

  private final Transport transport;
  private final Channel control;
  private final BlockingQueue<ControlMessage> heard = new LinkedBlockingQueue<>();

  FickleDestination(InetSocketAddress source) throws TransportException {
    transport = Transport.open("fickle-destination", 1);
    Hello hello =
        new Hello(
            Role.DESTINATION,
            ConnectionKind.CONTROL,
            UUID.randomUUID(),
            1,
            ProtocolVersion.OURS,
            "fickle");
    control =
        transport.connect(
            source,
            new ChannelInitializer<Channel>() {
              @Override
              protected void initChannel(Channel channel) {
                WardPipeline.install(channel, HelloHandler.dialling(hello), new Ear());
              }
            });
  }

  private final class Ear extends ChannelInboundHandlerAdapter {
    @Override
    public void channelRead(ChannelHandlerContext context, Object message) {
      if (message instanceof ControlFrame frame) {
        heard.add(frame.message());
      }
    }

    @Override
    public void exceptionCaught(ChannelHandlerContext context, Throwable cause) {
      context.close();
    }
  }

  /** Waits for the whole offer, then hangs up; what the guest's vCPUs hold. */
  byte[] hearAllAndLeave(Deadline deadline) throws IOException {
    byte[] vcpuStates = null;
    ControlMessage message = next(deadline);
    while (!(message instanceof ControlMessage.PoisonMapEnd)) {
      if (message instanceof ControlMessage.GuestOffer offer) {
        vcpuStates = offer.vcpuStates();
      }
      message = next(deadline);
    }
    close();
    return vcpuStates;
  }

  private ControlMessage next(Deadline deadline) throws IOException {
    try {
      ControlMessage message = heard.poll(deadline.millisLeft(), TimeUnit.MILLISECONDS);
      if (message == null) {
        throw new IOException("the source said nothing more in time");
      }
      return message;
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IOException("interrupted", e);
    }
  }

  @Override
  public void close() {
    control.close().awaitUninterruptibly();
    transport.close();
  }
}
