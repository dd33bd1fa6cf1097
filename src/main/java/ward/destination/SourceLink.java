package ward.destination;

import io.netty.channel.Channel;
import java.io.IOException;
import java.util.UUID;
import java.util.concurrent.CompletionStage;
import ward.channel.Watched;
import ward.wire.ConnectionKind;
import ward.wire.ControlMessage.Hello;
import ward.wire.Frame;
import ward.wire.MixedPages;

/** How a destination reaches its source: the seam between the session and the network. */
public interface SourceLink extends AutoCloseable {

  /** A connection of kind URGENT, to ask by. From any thread. */
  interface Requests {
    /**
     * What comes on it, for the thread that reads the faults; to be taken once. Until then nothing
     * is received, and its end is not told.
     */
    Watched answers();

    /**
     * Appends a question to what the next {@link #flush()} sends.
     *
     * @param request its number, which the answer repeats
     */
    void write(long request, long guestPhysicalAddress, int pageCount);

    void flush();

    void close();
  }

  /** What one connection reports, on a thread of its own or its event loop. */
  interface Events {
    /** The source has said who it is; {@link #ready} follows. */
    default void met(Hello source) {}

    /** The Hello is done; frames follow. For kind CONTROL. */
    void ready(Channel channel);

    /** The same for kind URGENT. */
    void ready(Requests requests);

    /** The same for kind STREAM, on which nothing is said but by the source. */
    void ready();

    /**
     * Bytes of pages came on a connection of kind URGENT or STREAM.
     *
     * @param request 0 on a STREAM
     * @param address where they are until this returns; on a STREAM the pages may be moved away
     *     from there
     * @throws IOException if the migration cannot go on
     */
    void pages(long request, long guestPhysicalAddress, int pageCount, long address)
        throws IOException;

    /**
     * The same of pages of which some are zeros.
     *
     * @throws IOException if the migration cannot go on
     */
    void mixed(MixedPages pages) throws IOException;

    /**
     * Another frame arrived. Whatever it holds is released when this returns.
     *
     * @throws IOException if the migration cannot go on
     */
    void frame(Frame frame) throws IOException;

    /**
     * The connection is gone, or never came.
     *
     * @param cause null if the peer closed it without a word
     */
    void lost(Throwable cause);
  }

  /** Connections that are made together and given up together. */
  interface Attempt {
    /** Opens one connection; everything else is an event. */
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

  /** Closes every connection. */
  @Override
  void close();
}
