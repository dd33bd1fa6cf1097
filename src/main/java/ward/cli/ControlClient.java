package ward.cli;

import io.netty.channel.Channel;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInitializer;
import io.netty.channel.SimpleChannelInboundHandler;
import java.io.IOException;
import java.nio.file.Path;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import ward.wire.ConnectionKind;
import ward.wire.ControlFrame;
import ward.wire.ControlMessage;
import ward.wire.ControlMessage.Hello;
import ward.wire.ControlMessage.Refusal;
import ward.wire.HelloCompleted;
import ward.wire.HelloHandler;
import ward.wire.ProtocolVersion;
import ward.wire.Role;
import ward.wire.Transport;
import ward.wire.WardPipeline;

/** One control command to a daemon on this host. */
public final class ControlClient {

  private static final long PATIENCE_SECONDS = 30;

  private ControlClient() {}

  /**
   * Sends a command and waits for its answer, for at most 30 seconds.
   *
   * @throws IOException if nobody listens, the daemon refuses ({@link CommandRefusedException}), or
   *     no answer comes
   */
  public static ControlMessage send(Path socket, ControlMessage command) throws IOException {
    try (Transport transport = Transport.open("ward-control", 1)) {
      CompletableFuture<ControlMessage> answer = new CompletableFuture<>();
      transport.connect(socket, pipeline(command, answer));
      return refusedOr(answer.get(PATIENCE_SECONDS, TimeUnit.SECONDS));
    } catch (ExecutionException e) {
      throw new IOException(e.getCause().getMessage(), e.getCause());
    } catch (TimeoutException e) {
      throw new IOException("%s: no answer within %d s".formatted(socket, PATIENCE_SECONDS), e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IOException("interrupted", e);
    }
  }

  private static ControlMessage refusedOr(ControlMessage answer) throws IOException {
    if (answer instanceof Refusal refusal) {
      throw new CommandRefusedException(refusal.reason());
    }
    return answer;
  }

  private static ChannelInitializer<Channel> pipeline(
      ControlMessage command, CompletableFuture<ControlMessage> answer) {
    Hello hello =
        new Hello(
            Role.SOURCE,
            ConnectionKind.LOCAL,
            new UUID(0, 0),
            1,
            ProtocolVersion.OURS,
            HostName.orSystems(null));
    return new ChannelInitializer<>() {
      @Override
      protected void initChannel(Channel channel) {
        WardPipeline.install(
            channel, HelloHandler.dialling(hello), new Conversation(command, answer));
      }
    };
  }

  private static final class Conversation extends SimpleChannelInboundHandler<ControlFrame> {

    private final ControlMessage command;
    private final CompletableFuture<ControlMessage> answer;

    Conversation(ControlMessage command, CompletableFuture<ControlMessage> answer) {
      this.command = command;
      this.answer = answer;
    }

    @Override
    public void userEventTriggered(ChannelHandlerContext context, Object event) {
      if (event instanceof HelloCompleted) {
        context.writeAndFlush(new ControlFrame(command));
      }
    }

    @Override
    protected void channelRead0(ChannelHandlerContext context, ControlFrame frame) {
      answer.complete(frame.message());
      context.close();
    }

    @Override
    public void exceptionCaught(ChannelHandlerContext context, Throwable cause) {
      answer.completeExceptionally(cause);
      context.close();
    }

    @Override
    public void channelInactive(ChannelHandlerContext context) {
      answer.completeExceptionally(new IOException("the daemon closed the connection"));
    }
  }
}
