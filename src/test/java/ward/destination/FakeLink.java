package ward.destination;

import io.netty.channel.Channel;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInitializer;
import io.netty.channel.ChannelOutboundHandlerAdapter;
import io.netty.channel.ChannelPromise;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.ConcurrentHashMap;
import ward.channel.Watched;
import ward.wire.ConnectionKind;
import ward.wire.ControlFrame;
import ward.wire.ControlMessage;
import ward.wire.Frame;
import ward.wire.PageRequest;
import ward.wire.Transport;
import ward.wire.TransportException;

/**
 * A source in the test's hands: it says what the test makes it say, and what it is told goes to a
 * log. Its channels are real ones to a server that says nothing, because the fault loop needs a
 * real event loop.
 */
final class FakeLink implements SourceLink {

  private record Connection(Channel channel, Events events) {}

  private final Transport transport;
  private final Channel server;
  private final List<String> log;
  private final Map<ConnectionKind, Connection> connections = new ConcurrentHashMap<>();
  final List<Frame> sent = java.util.Collections.synchronizedList(new ArrayList<>());
  volatile boolean closed;
  private volatile int lastAttempt;

  FakeLink(List<String> log) throws TransportException {
    this.log = log;
    this.transport = Transport.open("test-link", 1);
    this.server =
        transport.listen(
            new InetSocketAddress(InetAddress.getLoopbackAddress(), 0),
            new ChannelInitializer<Channel>() {
              @Override
              protected void initChannel(Channel channel) {} // says nothing, hears nothing
            });
  }

  @Override
  public Attempt attempt(DestinationSettings settings, UUID session, int number) {
    lastAttempt = number;
    connections.clear();
    return new FakeAttempt();
  }

  /** The number of the session's last attempt to connect. */
  int lastAttempt() {
    return lastAttempt;
  }

  private final class FakeAttempt implements Attempt {
    @Override
    public void connect(ConnectionKind kind, Events events) {
      try {
        Channel channel =
            transport.connect((InetSocketAddress) server.localAddress(), new Recorder());
        log.add("connect " + kind);
        connections.put(kind, new Connection(channel, events));
      } catch (TransportException e) {
        events.lost(e);
      }
    }

    @Override
    public CompletionStage<Void> close() {
      FakeLink.this.close();
      return CompletableFuture.completedFuture(null);
    }
  }

  private final class Recorder extends ChannelOutboundHandlerAdapter {
    @Override
    public void write(ChannelHandlerContext context, Object message, ChannelPromise promise) {
      log.add("sent " + nameOf((Frame) message));
      sent.add((Frame) message);
      promise.trySuccess();
    }
  }

  private static String nameOf(Frame frame) {
    Object what = frame instanceof ControlFrame control ? control.message() : frame;
    return what.getClass().getSimpleName();
  }

  boolean isConnected(ConnectionKind kind) {
    return connections.containsKey(kind);
  }

  void ready(ConnectionKind kind) throws Exception {
    TouchedMemory.awaitThat(() -> isConnected(kind), "a connection of kind " + kind);
    Connection connection = connections.get(kind);
    if (kind == ConnectionKind.URGENT) {
      connection.events().ready(requestsOn(connection.channel()));
    } else if (kind == ConnectionKind.STREAM) {
      connection.events().ready();
    } else {
      connection.events().ready(connection.channel());
    }
  }

  private static Requests requestsOn(Channel channel) {
    return new Requests() {
      @Override
      public Watched answers() {
        return Watched.OVER; // answers come by calls
      }

      @Override
      public void write(long request, long guestPhysicalAddress, int pageCount) {
        channel.write(new PageRequest(request, guestPhysicalAddress, pageCount));
      }

      @Override
      public void flush() {
        channel.flush();
      }

      @Override
      public void close() {
        channel.close();
      }
    };
  }

  void say(ControlMessage message) {
    frame(ConnectionKind.CONTROL, new ControlFrame(message));
  }

  /** A frame, and what the pipeline does with what the session throws. */
  void frame(ConnectionKind kind, Frame frame) {
    deliver(connections.get(kind), frame);
  }

  /** Brings a frame by the present connection, even when that has been given up. */
  Runnable frameLater(ConnectionKind kind, Frame frame) {
    Connection connection = connections.get(kind);
    return () -> deliver(connection, frame);
  }

  private static void deliver(Connection connection, Frame frame) {
    try {
      connection.events().frame(frame);
    } catch (IOException | RuntimeException e) {
      connection.events().lost(e);
    }
  }

  void lose(ConnectionKind kind, Throwable cause) {
    connections.get(kind).events().lost(cause);
  }

  void loseWhenConnected(ConnectionKind kind, Throwable cause) throws Exception {
    TouchedMemory.awaitThat(() -> isConnected(kind), "a connection of kind " + kind);
    lose(kind, cause);
  }

  <T extends ControlMessage> T awaitSent(Class<T> type) throws Exception {
    TouchedMemory.awaitThat(() -> find(type) != null, "a " + type.getSimpleName());
    return find(type);
  }

  private <T extends ControlMessage> T find(Class<T> type) {
    synchronized (sent) {
      for (Frame frame : sent) {
        if (frame instanceof ControlFrame control && type.isInstance(control.message())) {
          return type.cast(control.message());
        }
      }
      return null;
    }
  }

  @Override
  public void close() {
    closed = true;
    log.add("link closed");
  }

  void shutDown() {
    transport.close();
  }
}
