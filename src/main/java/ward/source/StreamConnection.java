package ward.source;

import io.netty.buffer.ByteBuf;
import java.util.concurrent.CompletionStage;
import ward.channel.PageChannel;
import ward.channel.Takeover;
import ward.wire.ControlMessage.Hello;
import ward.wire.Frame;
import ward.wire.FrameScanner;
import ward.wire.HelloCompleted;
import ward.wire.ProtocolException;

/**
 * Translates what happens on one connection of kind STREAM; knows no memory, no policy, no state.
 * One thread waits in it for its end, as nothing is ever said to a stream; another one sends.
 */
final class StreamConnection
    implements Takeover.Listener, PageChannel.Reactions, BackgroundStream.Line {

  private final SourceSession session;
  private final Hello peer;
  private PageChannel channel;

  StreamConnection(SourceSession session, Hello peer) {
    this.session = session;
    this.peer = peer;
  }

  @Override
  public void taken(HelloCompleted hello, PageChannel taken) {
    channel = taken;
    session.connected(peer, this);
  }

  void start() {
    channel.start("ward-stream-end", this);
  }

  /**
   * Ends the connection; a call that sends comes back.
   *
   * @return completes when nothing is sent any more
   */
  CompletionStage<Void> end() {
    return channel.end();
  }

  @Override
  public void lost(Throwable cause) {
    session.lost(peer, cause);
  }

  @Override
  public void arrived(FrameScanner frames) {
    if (frames.next()) {
      throw new ProtocolException("a source is never sent anything on a STREAM connection");
    }
  }

  @Override
  public void ended(Throwable cause) {
    session.lost(peer, cause);
  }

  @Override
  public boolean pages(long guestPhysicalAddress, int pageCount, ByteBuf bytes, int index) {
    return channel.sendPages(guestPhysicalAddress, pageCount, bytes, index);
  }

  @Override
  public boolean takesMixed() {
    return channel.takesMixed();
  }

  @Override
  public boolean mixed(
      long guestPhysicalAddress, int pageCount, ByteBuf bytes, int index, int bodyBytes) {
    return channel.sendMixed(guestPhysicalAddress, pageCount, bytes, index, bodyBytes);
  }

  @Override
  public void say(Frame frame) {
    channel.write(out -> out.frame(frame));
  }

  @Override
  public void flush() {
    channel.flush();
  }
}
