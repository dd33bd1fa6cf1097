package ward.destination;

import io.netty.channel.Channel;
import io.netty.channel.IoEventLoop;
import java.io.IOException;
import java.util.UUID;
import java.util.concurrent.CompletionStage;
import ward.wire.ConnectionKind;
import ward.wire.Frame;

/** How a destination reaches its source: the seam between the session and the network. */
public interface SourceLink extends AutoCloseable {

  /** What one connection reports, on its event loop. */
  interface Events {
    /** The Hello is done; frames follow. */
    void ready(Channel channel);

    /**
     * A frame arrived. Whatever it holds is released when this returns.
     *
     * @throws IOException if the migration cannot go on
     */
    void frame(Channel channel, Frame frame) throws IOException;

    /**
     * The connection is gone, or never came.
     *
     * @param cause null if the peer closed it without a word
     */
    void lost(Throwable cause);
  }

  /** Connections that are made together and given up together. */
  interface Attempt {
    /**
     * Opens one connection; everything else is an event. Those of kind URGENT are on the same event
     * loop in every attempt.
     */
    void connect(ConnectionKind kind, Events events);

    /**
     * Closes every connection, also those that are on their way.
     *
     * @return completes when all are closed: nothing is sent on them any more
     */
    CompletionStage<Void> close();
  }

  /**
   * Begins to connect a session.
   *
   * @param number from 1; greater than that of every attempt of this session before
   */
  Attempt attempt(DestinationSettings settings, UUID session, int number);

  /** The event loop of all connections of kind URGENT, also while there is none. */
  IoEventLoop faultEvents();

  /** Closes every connection. */
  @Override
  void close();
}
