package ward.destination;

import io.netty.channel.Channel;
import java.util.concurrent.TimeUnit;
import ward.wire.PageRequest;

/**
 * Where requests for pages go: the urgent connection of the present attempt, or nowhere while there
 * is none. What goes nowhere is sent when the next connection is there ({@link
 * PageFaults#askAll()}).
 */
final class RequestLine {

  /** One connection, or none. */
  interface Line {
    /** Attempts count from 1; 0 while there is no connection. */
    int attempt();

    void write(PageRequest request);

    void flush();
  }

  private record Open(Channel channel, int attempt) implements Line {
    @Override
    public void write(PageRequest request) {
      channel.write(request, channel.voidPromise());
    }

    @Override
    public void flush() {
      channel.flush();
    }
  }

  /** Requests wait where they are. */
  private static final Line NONE =
      new Line() {
        @Override
        public int attempt() {
          return 0;
        }

        @Override
        public void write(PageRequest request) {}

        @Override
        public void flush() {}
      };

  private volatile Line present = NONE;

  Line present() {
    return present;
  }

  void open(Channel channel, int attempt) {
    present = new Open(channel, attempt);
  }

  void close() {
    present = NONE;
  }

  void flush() {
    present.flush();
  }

  /**
   * Runs something on the connection's event loop, unless the connection is another by then: the
   * next one sends every open request anyway.
   */
  void later(Runnable requests, long delayMillis) {
    if (present instanceof Open open) {
      Runnable ifStillOpen =
          () -> {
            if (present == open) {
              requests.run();
              open.flush();
            }
          };
      open.channel().eventLoop().schedule(ifStillOpen, delayMillis, TimeUnit.MILLISECONDS);
    }
  }
}
