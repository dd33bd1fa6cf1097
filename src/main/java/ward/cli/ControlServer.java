package ward.cli;

import io.netty.channel.Channel;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInitializer;
import io.netty.channel.SimpleChannelInboundHandler;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.CompletionStage;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import ward.wire.ConnectionKind;
import ward.wire.ControlFrame;
import ward.wire.ControlMessage;
import ward.wire.ControlMessage.Hello;
import ward.wire.ControlMessage.Refusal;
import ward.wire.HelloHandler;
import ward.wire.ProtocolVersion;
import ward.wire.Transport;
import ward.wire.TransportException;
import ward.wire.WardPipeline;

/** Takes the commands of {@code ward control} on a UNIX socket. */
final class ControlServer implements AutoCloseable {

  private static final Logger log = LoggerFactory.getLogger("ward.control");

  /** What a daemon does for a command. */
  interface Commands {
    /** Answers later, or fails with a text for the one who gave the command. */
    CompletionStage<ControlMessage> execute(ControlMessage command);
  }

  private final Channel listening; // null where no socket was asked for

  private ControlServer(Channel listening) {
    this.listening = listening;
  }

  /**
   * @param path null for no control socket
   */
  static ControlServer listen(Transport transport, Path path, Commands commands)
      throws TransportException {
    if (path == null) {
      return new ControlServer(null);
    }
    ChannelInitializer<Channel> pipeline =
        new ChannelInitializer<>() {
          @Override
          protected void initChannel(Channel channel) {
            HelloHandler hello =
                HelloHandler.accepting(ControlServer::judge, ControlServer::answer);
            WardPipeline.install(channel, hello, new Connection(commands));
          }
        };
    return new ControlServer(transport.listen(path, pipeline));
  }

  private static Optional<Refusal> judge(Hello hello) {
    return hello.kind() == ConnectionKind.LOCAL
        ? Optional.empty()
        : Optional.of(
            new Refusal(Refusal.Code.PROTOCOL, "this socket takes control commands only"));
  }

  private static Hello answer(Hello peer) {
    return new Hello(
        peer.role(), ConnectionKind.LOCAL, peer.session(), 1, ProtocolVersion.OURS, peer.host());
  }

  static CompletionStage<ControlMessage> unsupported(String daemon, ControlMessage command) {
    return CompletableFuture.failedFuture(
        new IOException(
            "%s does not take %s".formatted(daemon, command.getClass().getSimpleName())));
  }

  @Override
  public void close() {
    if (listening != null) {
      listening.close().awaitUninterruptibly();
    }
  }

  private static final class Connection extends SimpleChannelInboundHandler<ControlFrame> {

    private final Commands commands;

    Connection(Commands commands) {
      this.commands = commands;
    }

    @Override
    protected void channelRead0(ChannelHandlerContext context, ControlFrame frame) {
      commands
          .execute(frame.message())
          .whenComplete(
              (answer, failure) ->
                  context.writeAndFlush(
                      new ControlFrame(failure == null ? answer : refusal(failure))));
    }

    private static Refusal refusal(Throwable failure) {
      Throwable cause = failure instanceof CompletionException ? failure.getCause() : failure;
      return new Refusal(Refusal.Code.UNSPECIFIED, String.valueOf(cause.getMessage()));
    }

    @Override
    public void exceptionCaught(ChannelHandlerContext context, Throwable cause) {
      log.warn("a control connection was dropped: {}", cause.getMessage());
      context.close();
    }
  }
}
