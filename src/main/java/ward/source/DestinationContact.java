package ward.source;

import io.netty.channel.Channel;
import io.netty.util.NetUtil;
import java.net.InetSocketAddress;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import ward.channel.PageChannel;
import ward.wire.ConnectionKind;
import ward.wire.ControlFrame;
import ward.wire.ControlMessage;
import ward.wire.ControlMessage.Hello;
import ward.wire.ControlMessage.Refusal;
import ward.wire.Peer;
import ward.wire.Role;

/**
 * The destination that has this guest: who it is, the connections of its latest attempt, and who
 * else may not come.
 *
 * <p>Changed on the session's thread only; {@link #judge} and who the destination is may be asked
 * on any.
 */
final class DestinationContact {

  private final Course course;
  private final List<Stream> streams = new ArrayList<>();
  private final List<PageChannel> forRequests = new ArrayList<>();

  /** A connection, and the thread that sends on it. */
  private record Stream(StreamConnection connection, StreamThread thread) {}

  private volatile UUID session; // null until somebody has come
  private volatile Peer peer = Peer.NOBODY;
  private volatile int attempt;
  private Channel control; // null while there is none

  DestinationContact(Course course) {
    this.course = course;
  }

  // --- who it is -------------------------------------------------------------------------------

  /** Null before one has come. */
  UUID session() {
    return session;
  }

  /** From 1; 0 before one has come. */
  int attempt() {
    return attempt;
  }

  Peer peer() {
    return peer;
  }

  /** Goes on with a session that another process has begun. */
  void goOn(UUID earlier, int latestAttempt) {
    session = earlier;
    attempt = latestAttempt;
  }

  /** The first, or the same one again. */
  void meet(Hello hello, Channel channel) {
    attempt = hello.attempt();
    session = hello.session();
    control = channel;
    String address =
        channel.remoteAddress() instanceof InetSocketAddress from
            ? NetUtil.toSocketAddressString(from)
            : "";
    peer = new Peer(hello.host(), address);
  }

  // --- who may come ----------------------------------------------------------------------------

  /** Whether a peer that said Hello may stay; called on its event loop. */
  Optional<Refusal> judge(Hello hello) {
    if (hello.role() != Role.DESTINATION) {
      return refusal(
          Refusal.Code.PROTOCOL, "a source talks to destinations, not to " + hello.role());
    }
    return hello.kind() == ConnectionKind.CONTROL ? judgeControl(hello) : judgeOther(hello);
  }

  private Optional<Refusal> judgeControl(Hello hello) {
    if (session == null) {
      return hello.attempt() == 1
          ? Optional.empty()
          : refusal(
              Refusal.Code.NO_SESSION,
              "session %s did not begin with this process".formatted(hello.session()));
    }
    return isReturn(hello)
        ? Optional.empty()
        : refusal(
            Refusal.Code.BUSY, "another destination has this guest, in phase " + course.phase());
  }

  /** The same destination, by another attempt. */
  boolean isReturn(Hello hello) {
    return hello.session().equals(session)
        && hello.attempt() > attempt
        && course.phase().mayBeReturnedTo();
  }

  private Optional<Refusal> judgeOther(Hello hello) {
    return isPresent(hello) && !course.is(SourcePhase.AWAITING_RETURN)
        ? Optional.empty()
        : refusal(
            Refusal.Code.NO_SESSION,
            "no such session: %s, attempt %d".formatted(hello.session(), hello.attempt()));
  }

  /** Whether a connection is of the latest attempt. */
  boolean isPresent(Hello hello) {
    return hello.session().equals(session) && hello.attempt() == attempt;
  }

  private static Optional<Refusal> refusal(Refusal.Code code, String reason) {
    return Optional.of(new Refusal(code, reason));
  }

  // --- the connections -------------------------------------------------------------------------

  /** Begins to listen for its end. */
  void add(StreamConnection connection, StreamThread sender) {
    streams.add(new Stream(connection, sender));
    connection.start();
  }

  /** What cannot be said because of a break is part of what recovery says. */
  void send(ControlMessage message) {
    if (control != null) {
      control.writeAndFlush(new ControlFrame(message));
    }
  }

  void add(PageChannel channel) {
    forRequests.add(channel);
  }

  /** Begins to close all of them; each completes when nothing is read or sent by it any more. */
  List<CompletableFuture<Void>> close() {
    List<CompletableFuture<Void>> closed = new ArrayList<>();
    forRequests.forEach(channel -> closed.add(channel.end().toCompletableFuture()));
    for (Stream stream : streams) {
      closed.add(stream.connection().end().toCompletableFuture()); // first: its thread waits in it
      closed.add(stream.thread().end());
    }
    if (control != null) {
      closed.add(closed(control));
    }
    return closed;
  }

  private static CompletableFuture<Void> closed(Channel channel) {
    CompletableFuture<Void> closed = new CompletableFuture<>();
    channel.close().addListener(done -> closed.complete(null));
    return closed;
  }

  /** Afterwards no thread reads or sends a page: all of them have seen their connections close. */
  void end() {
    close().forEach(CompletableFuture::join);
    forRequests.clear();
    streams.clear();
    control = null;
  }
}
