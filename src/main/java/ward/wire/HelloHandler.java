package ward.wire;

import io.netty.channel.ChannelFutureListener;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInboundHandlerAdapter;
import io.netty.util.ReferenceCountUtil;
import io.netty.util.concurrent.Future;
import java.io.IOException;
import java.time.Duration;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import java.util.function.Function;
import ward.wire.ControlMessage.Hello;
import ward.wire.ControlMessage.Refusal;

/**
 * Says hello, hears hello, and leaves the pipeline.
 *
 * <pre>
 *  dialling side                         accepting side
 *       | ------------- Hello -------------> |  asks its judge
 *       | <------- Hello or Refusal -------- |
 * </pre>
 *
 * <p>A control connection gets a {@link Heartbeat} in its place. When both have said it, the
 * handlers behind get a {@link HelloCompleted} event, before any other frame. Otherwise they get
 * the reason in {@code exceptionCaught} - a {@link PeerRefusedException}, a {@link
 * ProtocolException}, a {@link TransmissionException}, or an IOException where the peer left or
 * said nothing in time - and the channel is closed.
 */
public final class HelloHandler extends ChannelInboundHandlerAdapter {

  /** How long the peer may take for its Hello, unless {@link #within} says otherwise. */
  public static final Duration DEFAULT_LIMIT = Duration.ofSeconds(10);

  private final Optional<Hello> ours; // sent at once by the dialling side
  private final Function<Hello, Optional<Refusal>> judge;
  private final Function<Hello, Optional<Hello>> answer;
  private final Duration limit;

  private Future<?> timeout;
  private boolean settled;

  private HelloHandler(
      Optional<Hello> ours,
      Function<Hello, Optional<Refusal>> judge,
      Function<Hello, Optional<Hello>> answer,
      Duration limit) {
    this.ours = ours;
    this.judge = judge;
    this.answer = answer;
    this.limit = limit;
  }

  /** For the side that connected: sends {@code ours} first, and takes any peer of our major. */
  public static HelloHandler dialling(Hello ours) {
    return dialling(ours, peer -> Optional.empty());
  }

  /**
   * For the side that connected: sends {@code ours} first.
   *
   * @param judge of the peer's answer: a refusal ends the connection
   */
  public static HelloHandler dialling(Hello ours, Function<Hello, Optional<Refusal>> judge) {
    return new HelloHandler(Optional.of(ours), judge, peer -> Optional.empty(), DEFAULT_LIMIT);
  }

  /**
   * For the side that was connected to.
   *
   * @param judge of a peer's Hello; not asked about peers of another major version
   * @param answer to a Hello that the judge let pass
   */
  public static HelloHandler accepting(
      Function<Hello, Optional<Refusal>> judge, Function<Hello, Hello> answer) {
    return new HelloHandler(Optional.empty(), judge, answer.andThen(Optional::of), DEFAULT_LIMIT);
  }

  /**
   * The same with another patience.
   *
   * @param other how long the peer may take for its Hello, from when the channel is active; a
   *     machine without spare time, as an emulated one, needs long even for its first words
   */
  public HelloHandler within(Duration other) {
    return new HelloHandler(ours, judge, answer, other);
  }

  @Override
  public void handlerAdded(ChannelHandlerContext context) {
    if (context.channel().isActive()) {
      begin(context);
    }
  }

  @Override
  public void channelActive(ChannelHandlerContext context) {
    begin(context);
    context.fireChannelActive();
  }

  private void begin(ChannelHandlerContext context) {
    if (timeout == null) {
      timeout =
          context
              .executor()
              .schedule(() -> onSilence(context), limit.toMillis(), TimeUnit.MILLISECONDS);
      ours.ifPresent(hello -> context.writeAndFlush(new ControlFrame(hello)));
    }
  }

  private void onSilence(ChannelHandlerContext context) {
    fail(
        context,
        new IOException(
            "%s sent no Hello within %d s"
                .formatted(PeerName.of(context.channel()), limit.toSeconds())));
  }

  @Override
  public void channelRead(ChannelHandlerContext context, Object message) {
    if (settled) {
      ReferenceCountUtil.release(message); // refused already, and about to be closed
    } else if (message instanceof ControlFrame frame && frame.message() instanceof Hello hello) {
      onHello(context, hello);
    } else if (message instanceof ControlFrame frame
        && frame.message() instanceof Refusal refusal) {
      fail(context, PeerRefusedException.byPeer(PeerName.of(context.channel()), refusal));
    } else {
      ReferenceCountUtil.release(message);
      fail(
          context,
          new ProtocolException(
              "%s began with %s; a Hello must come first"
                  .formatted(PeerName.of(context.channel()), nameOf(message))));
    }
  }

  private static String nameOf(Object message) {
    Object named = message instanceof ControlFrame frame ? frame.message() : message;
    return named.getClass().getSimpleName();
  }

  private void onHello(ChannelHandlerContext context, Hello peer) {
    Optional<Refusal> refusal =
        ProtocolVersion.OURS.understands(peer.version())
            ? judge.apply(peer)
            : Optional.of(otherMajor(peer.version()));
    if (refusal.isPresent()) {
      refuse(context, refusal.get());
    } else {
      complete(context, peer);
    }
  }

  private static Refusal otherMajor(ProtocolVersion peer) {
    return new Refusal(
        Refusal.Code.VERSION,
        "one side speaks protocol %s, the other, which refuses, %s; upgrade the older side"
            .formatted(peer, ProtocolVersion.OURS));
  }

  private void refuse(ChannelHandlerContext context, Refusal refusal) {
    settle();
    context.writeAndFlush(new ControlFrame(refusal)).addListener(ChannelFutureListener.CLOSE);
    context.fireExceptionCaught(PeerRefusedException.byUs(PeerName.of(context.channel()), refusal));
  }

  private void complete(ChannelHandlerContext context, Hello peer) {
    settle();
    answer.apply(peer).ifPresent(hello -> context.writeAndFlush(new ControlFrame(hello)));
    if (peer.kind() == ConnectionKind.CONTROL) {
      context.pipeline().addAfter(context.name(), null, new Heartbeat(limit));
    }
    context.pipeline().remove(this); // first: the session may take the bytes that came behind it
    context.fireUserEventTriggered(new HelloCompleted(peer));
  }

  @Override
  public void exceptionCaught(ChannelHandlerContext context, Throwable cause) {
    if (settled) {
      context.fireExceptionCaught(cause);
    } else {
      fail(context, cause);
    }
  }

  @Override
  public void channelInactive(ChannelHandlerContext context) {
    if (!settled) {
      fail(
          context,
          new IOException(
              PeerName.of(context.channel()) + " closed the connection before it said Hello"));
    }
    context.fireChannelInactive();
  }

  @Override
  public void handlerRemoved(ChannelHandlerContext context) {
    settle();
  }

  private void fail(ChannelHandlerContext context, Throwable cause) {
    settle();
    context.fireExceptionCaught(cause);
    context.close();
  }

  private void settle() {
    settled = true;
    if (timeout != null) {
      timeout.cancel(false);
    }
  }
}
