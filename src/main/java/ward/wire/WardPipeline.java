package ward.wire;

import io.netty.channel.Channel;
import io.netty.channel.ChannelHandler;

/**
 * The handlers of every connection, in their order.
 *
 * <pre>
 *  socket --bytes--> FrameDecoder --Frame--> HelloHandler --HelloCompleted, Frame--> session
 *         <-bytes--- FrameEncoder <-----------------------Frame--------------------
 * </pre>
 *
 * <p>On a control connection, HelloHandler's place is a {@link Heartbeat}'s afterwards.
 */
public final class WardPipeline {

  private WardPipeline() {}

  /**
   * @param session gets {@link HelloCompleted} before any {@link Frame}; owns the bodies of {@link
   *     PageAnswer.Data}; closes the channel in {@code exceptionCaught}
   */
  public static void install(Channel channel, HelloHandler hello, ChannelHandler session) {
    channel.pipeline().addLast(new FrameDecoder(), new FrameEncoder());
    channel.pipeline().addLast("hello", hello).addLast("session", session);
  }
}
