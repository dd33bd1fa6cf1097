package ward.destination;

import io.netty.channel.Channel;
import io.netty.util.NetUtil;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.time.Duration;
import java.util.UUID;
import ward.memory.PageSet;
import ward.thread.SessionThread;
import ward.wire.ConnectionKind;
import ward.wire.ControlFrame;
import ward.wire.ControlMessage;
import ward.wire.ControlMessage.Hello;
import ward.wire.Frame;
import ward.wire.MixedPages;
import ward.wire.PageAnswer;
import ward.wire.Peer;
import ward.wire.ProtocolException;
import ward.wire.StreamEnd;

/**
 * The connections to the source, one attempt after the other: what goes out, and what comes in of
 * pages. Everything else that comes is the {@link Session}'s.
 *
 * <p>Confined to the session's thread, except where it is said.
 */
final class SourceContact {

  private static final Duration LAST_WORDS_WITHIN = Duration.ofMillis(300);

  /** Who acts on what is heard; called on the session's thread, but for {@link #failed}. */
  interface Session {
    /** One more connection can be used. */
    void ready() throws IOException;

    void heard(ControlMessage message) throws IOException;

    /** The source has nothing more to send by itself on one stream. */
    void streamEnded();

    /** Guest frame numbers of a loss that came as the answer for a page. */
    void poisonLearnt(PageSet poisoned, PageSet held);

    /**
     * A connection is gone, and with it this attempt.
     *
     * @param cause null if the source closed it without a word
     */
    void broken(ConnectionKind kind, String text, Throwable cause) throws IOException;

    /** This host cannot place pages; called on a connection's thread. */
    void failed(Throwable cause);
  }

  private final Course course;
  private final SourceLink link;
  private final SessionThread thread;
  private final DestinationListener listener;
  private final Session above;
  private final RequestLine requests = new RequestLine();
  private volatile DestinationSettings settings; // the source may be elsewhere after a break
  private volatile UUID session = UUID.randomUUID();
  private volatile String sourceHost = "";
  private volatile Connections connections = Connections.none(0);
  private volatile PageAnswers answers; // null until the first page comes

  SourceContact(
      DestinationSettings settings,
      SourceLink link,
      Course course,
      SessionThread thread,
      DestinationListener listener,
      Session above) {
    this.settings = settings;
    this.link = link;
    this.course = course;
    this.thread = thread;
    this.listener = listener;
    this.above = above;
  }

  // --- what may be asked on any thread --------------------------------------------------------

  /** The same over all attempts. */
  UUID session() {
    return session;
  }

  /** From 1; 0 before the first. */
  int attempt() {
    return connections.attempt();
  }

  /** Where the source is dialled, and what it called itself. */
  Peer peer() {
    return new Peer(sourceHost, NetUtil.toSocketAddressString(settings.source()));
  }

  /** Where requests for pages go. */
  RequestLine requests() {
    return requests;
  }

  // --- making and leaving connections ---------------------------------------------------------

  /**
   * Goes on with a session that another process has begun.
   *
   * @param attempt that process's last
   */
  void goOn(UUID earlier, int attempt) {
    session = earlier;
    connections = Connections.none(attempt);
  }

  /** From the next attempt on. */
  void moveTo(InetSocketAddress elsewhere) {
    settings = settings.withSource(elsewhere);
  }

  void dial(int attempt) {
    connections = new Connections(attempt, link.attempt(settings, session, attempt));
    connect(ConnectionKind.CONTROL);
  }

  void connectForPages() {
    connect(ConnectionKind.URGENT);
    for (int i = 0; i < settings.streams(); i++) {
      connect(ConnectionKind.STREAM);
    }
  }

  private void connect(ConnectionKind kind) {
    connections.link().connect(kind, new LinkEvents(connections, kind));
  }

  /** Those of the present attempt. */
  Connections present() {
    return connections;
  }

  /** Whether every connection for pages is there. */
  boolean isReadyForPages() {
    return connections.urgent() != null && connections.streams() == settings.streams();
  }

  boolean haveStreamsEnded() {
    return connections.streamsEnded() == settings.streams();
  }

  void hangUp() {
    connections.end();
  }

  // --- what goes out ---------------------------------------------------------------------------

  /** Whether what is sent now may arrive. */
  boolean isHeard() {
    return connections.control() != null;
  }

  /** What cannot be said because of a break is part of what recovery says. */
  void send(ControlMessage message) {
    if (isHeard()) {
      connections.control().writeAndFlush(new ControlFrame(message));
    }
  }

  /** From now on faults become requests at once; those that wait already are asked for. */
  void openLine() {
    requests.open(connections.urgent(), connections.attempt());
    course.arrival().faults().askAll();
    requests.flush();
  }

  // --- what comes in ---------------------------------------------------------------------------

  /** What one connection reports; called on its thread. */
  private final class LinkEvents implements SourceLink.Events {

    private final Connections of;
    private final ConnectionKind kind;
    private boolean ended; // confined to the connection's thread

    LinkEvents(Connections of, ConnectionKind kind) {
      this.of = of;
      this.kind = kind;
    }

    @Override
    public void met(Hello source) {
      sourceHost = source.host();
    }

    @Override
    public void ready(Channel channel) {
      thread.run(() -> onControl(of, channel));
    }

    @Override
    public void ready(SourceLink.Requests requests) {
      thread.run(() -> onUrgent(of, requests));
    }

    @Override
    public void ready() {
      thread.run(() -> onStream(of));
    }

    @Override
    public void pages(long request, long guestPhysicalAddress, int pageCount, long address)
        throws IOException {
      if (of.isOver()) {
        return;
      }
      requireNotEnded("Data");
      if (kind == ConnectionKind.URGENT) {
        answers(kind).onDemand(request, guestPhysicalAddress, pageCount, address);
      } else {
        answers(kind).inBackground(request, guestPhysicalAddress, pageCount, address);
      }
    }

    @Override
    public void mixed(MixedPages pages) throws IOException {
      if (of.isOver()) {
        return;
      }
      requireNotEnded("Mixed");
      if (kind != ConnectionKind.STREAM) {
        throw new ProtocolException("MIXED on the %s connection".formatted(kind));
      }
      answers(kind).inBackground(pages);
    }

    private void requireNotEnded(String what) {
      if (ended) {
        throw new ProtocolException("%s after StreamEnd; nothing follows it".formatted(what));
      }
    }

    @Override
    public void frame(Frame frame) throws IOException {
      if (of.isOver()) {
        return;
      }
      requireNotEnded(frame.getClass().getSimpleName());
      if (frame instanceof ControlFrame message && kind == ConnectionKind.CONTROL) {
        thread.run(() -> onMessage(of, message.message()));
      } else {
        ended = frame instanceof StreamEnd;
        onPageFrame(of, kind, frame);
      }
    }

    @Override
    public void lost(Throwable cause) {
      if (cause instanceof ResolveException) {
        above.failed(cause);
      } else {
        thread.run(() -> onLost(of, kind, cause));
      }
    }
  }

  private void onControl(Connections of, Channel channel) throws IOException {
    if (course.isOver() || of.isOver()) {
      channel.close();
      return;
    }
    connections.control(channel); // after a break, the source speaks first
    above.ready();
  }

  private void onStream(Connections of) throws IOException {
    if (course.isOver() || of.isOver()) {
      return; // its attempt closes it
    }
    of.addStream();
    above.ready();
  }

  private void onUrgent(Connections of, SourceLink.Requests urgent) throws IOException {
    if (course.isOver() || of.isOver()) {
      urgent.close();
      return;
    }
    connections.urgent(urgent);
    course.arrival().faultLoop().attend(urgent.answers());
    if (course.hasRun()) {
      openLine();
    }
    above.ready();
  }

  private void onMessage(Connections of, ControlMessage message) throws IOException {
    if (!of.isOver()) {
      above.heard(message);
    }
  }

  /** On the connection's thread. */
  private void onPageFrame(Connections of, ConnectionKind kind, Frame frame) throws IOException {
    PageAnswers answers = answers(kind);
    if (frame instanceof StreamEnd && kind == ConnectionKind.STREAM) {
      thread.run(() -> onStreamEnd(of));
    } else if (frame instanceof PageAnswer answer) {
      if (kind == ConnectionKind.URGENT) {
        answers.onDemand(answer);
      } else {
        answers.inBackground(answer);
      }
    } else {
      throw new ProtocolException(
          "a destination is never sent " + frame.getClass().getSimpleName());
    }
  }

  /** What page frames act on; the same object for all of them. */
  private PageAnswers answers(ConnectionKind kind) {
    Arrival current = course.arrival();
    if (current == null || kind == ConnectionKind.CONTROL) {
      throw new ProtocolException(
          "a page on the %s connection in phase %s".formatted(kind, course.phase()));
    }
    PageAnswers present = answers;
    if (present == null) {
      present =
          new PageAnswers(current.answerParts(), listener, this::retryLater, above::poisonLearnt);
      answers = present;
    }
    return present;
  }

  /** Not by another connection: that one is sent every open request anyway, once. */
  private void retryLater(long requestId, long delayMillis) {
    RequestLine.Line asked = requests.present();
    thread.later(
        () -> {
          if (requests.present() == asked) {
            course.arrival().faults().askAgain(requestId);
            requests.flush();
          }
        },
        Duration.ofMillis(delayMillis));
  }

  private void onStreamEnd(Connections of) {
    of.streamEnded();
    above.streamEnded();
  }

  private void onLost(Connections of, ConnectionKind kind, Throwable cause) throws IOException {
    if (of.isOver() || course.isOver()) {
      return;
    }
    if (course.is(DestinationPhase.HANDING_OVER) && kind != ConnectionKind.CONTROL) {
      return; // every page is here; a source that lets go closes these, in any order
    }
    String what = cause == null ? "the source closed it" : DestinationOutcome.textOf(cause);
    String text = "%s connection: %s".formatted(kind, what);
    if (kind == ConnectionKind.CONTROL || course.hasRun()) {
      above.broken(kind, text, cause);
    } else {
      breakUnlessExplained(of, kind, text, cause);
    }
  }

  /**
   * A source that ends says so on another connection, which may arrive a little later. Once the
   * guest runs here, time matters more to it than the text.
   */
  private void breakUnlessExplained(
      Connections of, ConnectionKind kind, String text, Throwable cause) {
    thread.later(
        () -> {
          if (!of.isOver() && !course.isOver()) {
            above.broken(kind, text, cause);
          }
        },
        LAST_WORDS_WITHIN);
  }
}
