package ward.destination;

import io.netty.channel.Channel;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import ward.wire.ConnectionKind;

/**
 * The connections of one attempt, as far as they have come.
 *
 * <p>Confined to the session's thread, except {@link #isOver()}.
 */
final class Connections {

  private final int attempt;
  private final SourceLink.Attempt link;
  private Channel control;
  private SourceLink.Requests urgent;
  private int streams;
  private int streamsEnded;
  private boolean proven;
  private volatile boolean over;

  Connections(int attempt, SourceLink.Attempt link) {
    this.attempt = attempt;
    this.link = link;
  }

  /** Of an attempt that is over; also before the first one of this process. */
  static Connections none(int attempt) {
    Connections none = new Connections(attempt, new Nowhere());
    none.over = true;
    return none;
  }

  private static final class Nowhere implements SourceLink.Attempt {
    @Override
    public void connect(ConnectionKind kind, SourceLink.Events events) {
      throw new IllegalStateException("nobody is dialled yet");
    }

    @Override
    public CompletionStage<Void> close() {
      return CompletableFuture.completedStage(null);
    }
  }

  int attempt() {
    return attempt;
  }

  SourceLink.Attempt link() {
    return link;
  }

  /** Null until it is ready. */
  Channel control() {
    return control;
  }

  void control(Channel channel) {
    control = channel;
  }

  /** Null until it is ready. */
  SourceLink.Requests urgent() {
    return urgent;
  }

  void urgent(SourceLink.Requests requests) {
    urgent = requests;
  }

  /** One more is ready. */
  void addStream() {
    streams++;
  }

  int streams() {
    return streams;
  }

  void streamEnded() {
    streamsEnded++;
  }

  int streamsEnded() {
    return streamsEnded;
  }

  /** After a break: whoever answers has shown that it serves the guest that was offered. */
  void prove() {
    proven = true;
  }

  boolean isProven() {
    return proven;
  }

  /** Whether what still arrives is to be dropped; callable from any thread. */
  boolean isOver() {
    return over;
  }

  /** Gives all of them up. */
  CompletionStage<Void> end() {
    over = true;
    return link.close();
  }
}
