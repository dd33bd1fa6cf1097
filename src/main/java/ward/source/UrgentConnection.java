package ward.source;

import java.util.concurrent.ExecutorService;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import ward.channel.PageChannel;
import ward.channel.Takeover;
import ward.memory.Pages;
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

  /**
   * Answers that wait for a peer to take them: far more than a guest has vCPUs. A peer that asks on
   * and takes nothing loses its connection.
   */
  static final int LATER_MAX = 65_536;

  /** Of a request for more. */
  static final int PART_PAGES = 16;

  private final SourceSession session;
  private final Hello peer;
  private PageChannel channel;
  private final ExecutorService later = newLaterThread(); // for what the disk is waited for
  private FrameScanner request; // at the one that is answered
  private int done; // of its pages

  UrgentConnection(SourceSession session, Hello peer) {
    this.session = session;
    this.peer = peer;
  }

  private static ExecutorService newLaterThread() {
    return new ThreadPoolExecutor(
        1,
        1,
        0,
        TimeUnit.SECONDS,
        new LinkedBlockingQueue<>(LATER_MAX),
        task -> {
          Thread thread = new Thread(task, "ward-later");
          thread.setDaemon(true);
          return thread;
        });
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
      for (done = 0; done < frames.pageCount(); done += PART_PAGES) {
        channel.write(this); // and sends what comes to much, while the next part is read
      }
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

  /** The answer to a part of the request that the scanner is at; mostly all of it, one page. */
  @Override
  public void write(FrameWriter out) {
    session.onRequest(
        peer,
        request.requestId() + done,
        request.guestPhysicalAddress() + Pages.bytes(done),
        Math.min(PART_PAGES, request.pageCount() - done),
        out,
        this);
  }

  @Override
  public void say(PageAnswer answer) {
    send(out -> out.frame(answer));
  }

  /** From any thread, which never waits for a peer that takes nothing. */
  void send(PageChannel.Words words) {
    try {
      later.execute(
          () -> {
            channel.write(words);
            channel.flush();
          });
    } catch (RejectedExecutionException e) {
      channel.close(); // or it has ended by itself: the next one is asked again
    }
  }

  @Override
  public void ended(Throwable cause) {
    later.shutdown();
    session.lost(peer, cause);
  }
}
