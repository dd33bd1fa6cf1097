package ward.destination;

import io.netty.channel.Channel;
import java.io.IOException;
import java.util.UUID;
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

  /** Opens one connection of a session; everything else is an event. */
  void connect(DestinationSettings settings, UUID session, ConnectionKind kind, Events events);

  /** Closes every connection. */
  @Override
  void close();
}
