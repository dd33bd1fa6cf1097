package ward.source;

import ward.channel.PageChannel;
import ward.channel.Takeover;
import ward.wire.ControlMessage.Hello;
import ward.wire.Frame;
import ward.wire.FrameScanner;
import ward.wire.FrameWriter;
import ward.wire.HelloCompleted;
import ward.wire.PageAnswer;
import ward.wire.ProtocolException;

/**
 * Translates what happens on one connection of kind URGENT, on the thread that waits in it; knows
 * no memory, no policy, no state.
 */
final class UrgentConnection
    implements Takeover.Listener, PageChannel.Reactions, PageChannel.Words, PageAnswerer.Later {

  private final SourceSession session;
  private final Hello peer;
  private PageChannel channel;
  private final LaterAnswers later = new LaterAnswers(this::sendNow, () -> channel.close());
  private FrameScanner request; // at the one that is answered

  UrgentConnection(SourceSession session, Hello peer) {
    this.session = session;
    this.peer = peer;
  }

  @Override
  public void taken(HelloCompleted hello, PageChannel taken) {
    channel = taken;
    session.connected(peer, this);
  }

  /** On the session's thread: a session that has ended reads no memory any more. */
  PageChannel start() {
    channel.start("ward-urgent", this);
    return channel;
  }

  void close() {
    channel.close();
  }

  @Override
  public void lost(Throwable cause) {
    session.lost(peer, cause);
  }

  @Override
  public void arrived(FrameScanner frames) {
    request = frames;
    while (frames.next()) {
      requireRequest(frames);
      channel.write(this);
    }
    channel.flush();
  }

  private void requireRequest(FrameScanner frames) {
    if (!frames.isRequest()) {
      String what = frames.isPages() ? "pages" : nameOf(frames);
      throw new ProtocolException(
          "a source is never sent %s on a %s connection".formatted(what, peer.kind()));
    }
  }

  private static String nameOf(FrameScanner frames) {
    return frames.frame().map(Frame::getClass).map(Class::getSimpleName).orElse("a newer frame");
  }

  /** The answer to the request that the scanner is at. */
  @Override
  public void write(FrameWriter out) {
    session.onRequest(
        peer, request.requestId(), request.guestPhysicalAddress(), request.pageCount(), out, this);
  }

  @Override
  public void say(PageAnswer answer) {
    send(out -> out.frame(answer));
  }

  /** From any thread, which never waits for a peer that takes nothing. */
  void send(PageChannel.Words words) {
    later.send(words);
  }

  private void sendNow(PageChannel.Words words) {
    channel.write(words);
    channel.flush();
  }

  @Override
  public void ended(Throwable cause) {
    later.end();
    session.lost(peer, cause);
  }
}
