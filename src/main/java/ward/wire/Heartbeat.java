package ward.wire;

import io.netty.channel.ChannelHandlerContext;
import io.netty.handler.timeout.IdleState;
import io.netty.handler.timeout.IdleStateEvent;
import io.netty.handler.timeout.IdleStateHandler;
import java.io.IOException;
import java.time.Duration;
import java.util.concurrent.TimeUnit;

/**
 * Notices a peer that is stopped or stuck while its kernel still acknowledges what it is sent:
 * TCP's own keep-alive never does.
 *
 * <p>Whoever has heard nothing for a while sends a {@link Ping}; a {@link Pong} answers it at once.
 * A peer that answers none of several is given up by an IOException in {@code exceptionCaught}, for
 * the session to close the channel. Pings are counted, not time: a side that was itself stopped
 * asks again before it judges.
 */
final class Heartbeat extends IdleStateHandler {

  /** Half a handshake's time each: three times that time in all. */
  static final int UNANSWERED_MAX = 6;

  private final Duration every;
  private int unanswered;

  /**
   * @param handshakeLimit what a peer may take for its first words, and so for any
   */
  Heartbeat(Duration handshakeLimit) {
    super(handshakeLimit.toNanos() / 2, 0, 0, TimeUnit.NANOSECONDS);
    every = handshakeLimit.dividedBy(2);
  }

  @Override
  public void channelRead(ChannelHandlerContext context, Object message) throws Exception {
    unanswered = 0;
    if (message instanceof Ping) {
      context.writeAndFlush(new Pong());
    } else if (!(message instanceof Pong)) {
      super.channelRead(context, message);
    }
  }

  @Override
  protected void channelIdle(ChannelHandlerContext context, IdleStateEvent event) {
    if (event.state() != IdleState.READER_IDLE) {
      return;
    }
    if (unanswered++ < UNANSWERED_MAX) {
      context.writeAndFlush(new Ping());
    } else {
      context.fireExceptionCaught(
          new IOException(
              "%s has said nothing for %d s, although it was asked; its host still takes what is sent"
                  .formatted(
                      PeerName.of(context.channel()),
                      every.multipliedBy(UNANSWERED_MAX + 1L).toSeconds())));
    }
  }
}
