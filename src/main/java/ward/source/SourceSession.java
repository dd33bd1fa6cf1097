package ward.source;

import io.netty.channel.Channel;
import io.netty.channel.ChannelFuture;
import io.netty.util.NetUtil;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import ward.kernel.Kernel;
import ward.memory.GuestLayout;
import ward.memory.MemoryIdentity;
import ward.memory.PageSet;
import ward.memory.Pages;
import ward.poison.Departure;
import ward.poison.LedgerDigest;
import ward.poison.LedgerJournal;
import ward.poison.LedgerQueue;
import ward.poison.MigrationRecord;
import ward.poison.PoisonEntry;
import ward.thread.SessionThread;
import ward.wire.ConnectionKind;
import ward.wire.ControlFrame;
import ward.wire.ControlMessage;
import ward.wire.ControlMessage.Hello;
import ward.wire.ControlMessage.Refusal;
import ward.wire.PageRequest;
import ward.wire.Peer;
import ward.wire.ProtocolException;
import ward.wire.Role;

/**
 * One outgoing migration of a guest.
 *
 * <p>Confined to a thread of its own, which may wait for the disk; the event loops translate, read
 * pages and send them. {@link SourcePhase} says what is true when.
 */
public final class SourceSession implements AutoCloseable {

  private static final Logger log = LoggerFactory.getLogger(SourceSession.class);

  private static final Duration LAST_WORDS_WITHIN = Duration.ofMillis(300);

  private static final String WHOLE_HERE =
      "the guest never ran at the destination, it is whole here";

  /**
   * How long a destination that has everything may take to say that it knows. Nothing depends on
   * it: the copy here is of no use any more.
   */
  private static final Duration CONFIRM_WITHIN = Duration.ofSeconds(60);

  /** What is migrated. All of it stays the caller's, and outlives the session. */
  public record Subject(ServedMemory memory, DepartingGuest guest, LedgerJournal journal) {}

  private final SourceSettings settings;
  private final Subject subject;
  private final SourceListener listener;
  private final SessionThread thread = new SessionThread("source", this::failed);
  private final CompletableFuture<SourceOutcome> outcome = new CompletableFuture<>();
  private final GuestLayout layout;
  private final LedgerQueue writes;
  private final LostPages lost;
  private final SourceParts parts;
  private final PageAnswerer answerer;
  private final StreamCursor cursor;
  private final List<Channel> urgent = new ArrayList<>();
  private final Map<Channel, BackgroundStream> streams = new LinkedHashMap<>();
  private final AwaitedReports awaited = new AwaitedReports();
  private final CancelRequests cancels = new CancelRequests();
  private final MemorySamples samples;
  private final MigrationBook book;

  private volatile SourcePhase phase = SourcePhase.LISTENING;
  private volatile UUID session;
  private volatile Peer peer = Peer.NOBODY;
  private volatile int attempt;
  private boolean beganElsewhere; // in a process that died
  private SourcePhase interrupted; // what a break interrupted
  private int waits; // a timer of an earlier one is void
  private ReturnedDestination returned; // null while none is telling what it has
  private Channel control;
  private MemoryIdentity memory; // null until the guest stands still
  private ControlMessage.PoisonMapEnd mapEnd;
  private List<Departure> path = List.of();
  private ControlMessage.HandOver pendingHandOver;

  /**
   * @throws IOException if the ledger lists pages that the guest does not have
   */
  public SourceSession(
      SourceSettings settings, Kernel kernel, Subject subject, SourceListener listener)
      throws IOException {
    this.settings = settings;
    this.subject = subject;
    this.listener = listener;
    layout = subject.memory().memory().layout();
    ServedPages served = new ServedPages(layout.pageCount());
    writes =
        new LedgerQueue(
            (task, millis) -> thread.later(task::run, Duration.ofMillis(millis)),
            settings::ledgerPatience,
            this::failed);
    lost =
        new LostPages(
            layout, served, subject.journal(), settings, Clock.systemUTC(), writes, listener);
    PageReader reader = new PageReader(kernel, subject.memory().memory());
    parts = new SourceParts(layout, served, reader, lost, listener);
    answerer = new PageAnswerer(parts);
    cursor = new StreamCursor(layout, settings.streamPaused());
    samples = new MemorySamples(parts);
    book =
        new MigrationBook(subject.journal().migrationFile(), subject.memory(), Clock.systemUTC());
    requireLedgerInLayout();
    lost.startFromLedger();
  }

  /**
   * Goes on with the session of a process that died: the guest stands still, and may run at the
   * destination, which is waited for.
   *
   * @param earlier what that process has left
   * @throws IOException if the ledger lists pages that the guest does not have, or this is not the
   *     memory that was served; what differs is in the message
   */
  public static SourceSession continued(
      SourceSettings settings,
      Kernel kernel,
      Subject subject,
      SourceListener listener,
      MigrationRecord earlier)
      throws IOException {
    SourceSession session = new SourceSession(settings, kernel, subject, listener);
    session.goOn(earlier); // no thread has begun: what fails leaves nothing to close
    return session;
  }

  /** Before anybody else knows this object. */
  private void goOn(MigrationRecord earlier) throws IOException {
    memory = book.goOn(earlier);
    Optional<String> contradiction = memory.contradiction(layout);
    if (contradiction.isEmpty()) { // of another layout, no page is what it was called
      contradiction = memory.contradiction(samples.again(memory));
    }
    if (contradiction.isPresent()) {
      throw new IOException(
          "this is not the memory that was served to %s: %s"
              .formatted(earlier.peer(), contradiction.get()));
    }
    session = earlier.session();
    attempt = earlier.attempt();
    beganElsewhere = true;
    path = pathToTheNext(earlier.time()); // the destination may not have heard it
    interrupted = SourcePhase.MAP_APPLIED;
    String peer = earlier.peer();
    enter(
        SourcePhase.AWAITING_RETURN,
        "session %s with %s was begun by another process".formatted(session, peer));
    giveUpWhenTooLong();
  }

  private void requireLedgerInLayout() throws IOException {
    List<Long> outside = new ArrayList<>();
    subject
        .journal()
        .ledger()
        .frames()
        .forEach(
            frame -> {
              if (layout.pageAt(frame << Pages.SHIFT).isEmpty()) {
                outside.add(frame << Pages.SHIFT);
              }
            });
    if (!outside.isEmpty()) {
      throw new IOException(
          "the ledger lists %d pages outside the memory of guest %s, the first at guest-physical address 0x%x: it belongs to another layout of this guest"
              .formatted(outside.size(), layout.guest(), outside.get(0)));
    }
  }

  public SourcePhase phase() {
    return phase;
  }

  /** The destination's, once one has come. */
  public Optional<UUID> session() {
    return Optional.ofNullable(session);
  }

  /** How often the destination has made its connections, from 1; 0 before one has come. */
  public int attempt() {
    return attempt;
  }

  /** The destination that came last. */
  public Peer peer() {
    return peer;
  }

  /** Whether an operator wants the guest to stay here, and nothing has come of it yet. */
  public boolean isCancelling() {
    return cancels.isOpen();
  }

  /** Pages that the guest has. */
  public long pageCount() {
    return layout.pageCount();
  }

  /** Completes with the end of the migration. */
  public CompletionStage<SourceOutcome> outcome() {
    return outcome;
  }

  /** Ends the migration; for an operator's SIGTERM. */
  public void abandon(String reason) {
    thread.run(
        () -> {
          if (control != null) {
            send(new ControlMessage.Farewell(reason, false));
          }
          fail(SourceOutcome.Kind.ABORTED, reason);
        });
  }

  /**
   * Ends everything that reads the memory, which may be unmapped afterwards: an event loop in the
   * middle of a slice would otherwise send whatever is mapped there next. Not for an event loop to
   * call.
   */
  @Override
  public void close() {
    thread.run(() -> fail(SourceOutcome.Kind.ABORTED, "the session was closed"));
    thread.close();
    closeConnections().forEach(ChannelFuture::awaitUninterruptibly);
  }

  // --- connections -------------------------------------------------------------------------

  /** Whether a peer that said Hello may stay; called on its event loop. */
  public Optional<Refusal> judge(Hello hello) {
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
        : refusal(Refusal.Code.BUSY, "another destination has this guest, in phase " + phase);
  }

  private boolean isReturn(Hello hello) {
    return hello.session().equals(session) && hello.attempt() > attempt && phase.mayBeReturnedTo();
  }

  private Optional<Refusal> judgeOther(Hello hello) {
    return isPresent(hello) && phase != SourcePhase.AWAITING_RETURN
        ? Optional.empty()
        : refusal(
            Refusal.Code.NO_SESSION,
            "no such session: %s, attempt %d".formatted(hello.session(), hello.attempt()));
  }

  private boolean isPresent(Hello hello) {
    return hello.session().equals(session) && hello.attempt() == attempt;
  }

  private static Optional<Refusal> refusal(Refusal.Code code, String reason) {
    return Optional.of(new Refusal(code, reason));
  }

  /** A connection that was judged well is ready; called on its event loop. */
  public void connected(Hello hello, Channel channel) {
    thread.run(
        () -> {
          if (hello.kind() == ConnectionKind.CONTROL) {
            onControl(hello, channel);
          } else if (isPresent(hello)) {
            onOther(hello.kind(), channel);
          } else {
            channel.close(); // the session was recovered in between
          }
        });
  }

  private void onOther(ConnectionKind kind, Channel channel) {
    switch (kind) {
      case URGENT -> urgent.add(channel);
      case STREAM -> onStream(channel);
      default -> throw new ProtocolException(kind + " connections come by the control socket");
    }
  }

  private void onControl(Hello hello, Channel channel) throws IOException {
    if (isReturn(hello)) {
      onReturn(hello, channel);
      return;
    }
    if (session != null || phase.isLast()) {
      channel.writeAndFlush(
          new ControlFrame(
              new Refusal(
                  Refusal.Code.BUSY, "another destination came first, or the source gives up")));
      channel.close();
      return;
    }
    attempt = hello.attempt();
    session = hello.session();
    meet(hello, channel);
    enter(
        SourcePhase.SENDING_MAP, "destination " + hello.host() + " at " + channel.remoteAddress());
    orSayWhyNot(
        () -> {
          book.offered(hello, addressOf(channel));
          sendGuest();
        });
  }

  private static String addressOf(Channel channel) {
    return String.valueOf(channel.remoteAddress()).replaceFirst("^[^/]*/", "");
  }

  private void orSayWhyNot(SessionThread.Step step) throws IOException {
    try {
      step.run();
    } catch (IOException e) {
      send(
          new Refusal(
              Refusal.Code.HOST, "the source cannot give the guest away: " + e.getMessage()));
      throw e;
    }
  }

  private void meet(Hello hello, Channel channel) {
    control = channel;
    String address =
        channel.remoteAddress() instanceof InetSocketAddress from
            ? NetUtil.toSocketAddressString(from)
            : "";
    peer = new Peer(hello.host(), address);
  }

  /**
   * Poison travels first: the whole map goes out before a page does. What the guest met while it
   * ran here is in the ledger when it stands still.
   */
  private void sendGuest() throws IOException {
    byte[] vcpuStates = subject.guest().leave();
    requireLedgerInLayout();
    lost.startFromLedger();
    memory = samples.draw(session);
    send(new ControlMessage.GuestOffer(memory, vcpuStates));
    List<PoisonEntry> entries = subject.journal().ledger().effectiveEntries();
    for (List<PoisonEntry> part : ControlMessage.cut(entries, ControlMessage.ENTRIES_MAX)) {
      send(new ControlMessage.PoisonMapPart(part));
    }
    ControlMessage.PoisonGivenUp.inParts(subject.journal().ledger().givenUpFrames())
        .forEach(this::send);
    PageSet frames = subject.journal().ledger().frames();
    lost.inTheMap(frames);
    mapEnd = new ControlMessage.PoisonMapEnd(frames.size(), LedgerDigest.ofFrames(frames));
    send(mapEnd);
  }

  private void onStream(Channel channel) {
    BackgroundStream stream = new BackgroundStream(parts, cursor, channel);
    streams.put(channel, stream);
    if (phase == SourcePhase.SERVING) {
      channel.eventLoop().execute(stream::pump);
    }
  }

  /** The socket of a stream has room again; called on its event loop. */
  public void writable(Channel channel) {
    thread.run(
        () -> {
          BackgroundStream stream = streams.get(channel);
          if (stream != null && phase == SourcePhase.SERVING) {
            channel.eventLoop().execute(stream::pump);
          }
        });
  }

  /** A demand fault; called on the urgent connection's event loop. */
  public void onRequest(Hello peer, PageRequest request, Channel channel) {
    if (mayBeAsked()) {
      answerer.answer(request, channel);
    } else {
      thread.run(() -> answerInTurn(peer, request, channel));
    }
  }

  private boolean mayBeAsked() {
    return phase == SourcePhase.MAP_APPLIED || phase == SourcePhase.SERVING;
  }

  /** What came before the request on the control connection may still wait for the disk. */
  private void answerInTurn(Hello peer, PageRequest request, Channel channel) {
    if (phase.isLast() || !isPresent(peer) || phase == SourcePhase.AWAITING_RETURN) {
      return; // it is asked again by the next connection, if there is one
    }
    if (!mayBeAsked()) {
      throw new ProtocolException("a page request in phase " + phase);
    }
    channel
        .eventLoop()
        .execute(
            () -> {
              answerer.answer(request, channel);
              channel.flush();
            });
  }

  /**
   * A connection of the session is gone.
   *
   * @param cause null if the peer closed it without a word
   */
  public void lost(Hello hello, Channel channel, Throwable cause) {
    thread.run(
        () -> {
          if (!isPresent(hello) || phase.isLast()) {
            return;
          }
          if (phase == SourcePhase.HANDING_OVER && hello.kind() != ConnectionKind.CONTROL) {
            return; // a destination that has everything closes these, in any order
          }
          String what = cause == null ? "the destination closed it" : cause.getMessage();
          String text = "%s connection: %s".formatted(hello.kind(), what);
          if (hello.kind() == ConnectionKind.CONTROL || cause instanceof ProtocolException) {
            onBreak(text, cause);
          } else {
            breakUnlessExplained(hello, text, cause);
          }
        });
  }

  /** A destination that ends says so on another connection, which may arrive a little later. */
  private void breakUnlessExplained(Hello hello, String text, Throwable cause) {
    thread.later(
        () -> {
          if (isPresent(hello) && !phase.isLast()) {
            onBreak(text, cause);
          }
        },
        LAST_WORDS_WITHIN);
  }

  private void onBreak(String text, Throwable cause) {
    if (cause instanceof ProtocolException) {
      fail(SourceOutcome.Kind.PEER_REFUSED, text);
    } else if (phase.mayBeReturnedTo() && !isOverAtOnce()) {
      awaitReturn(text);
    } else {
      fail(SourceOutcome.Kind.ABORTED, text);
    }
  }

  private boolean isOverAtOnce() {
    return phase != SourcePhase.HANDING_OVER
        && settings.returnWithin().filter(Duration::isZero).isPresent();
  }

  private List<ChannelFuture> closeConnections() {
    List<Channel> all = new ArrayList<>(urgent);
    all.addAll(streams.keySet());
    if (control != null) {
      all.add(control);
    }
    return all.stream().map(Channel::close).toList();
  }

  // --- messages, on the session's thread -----------------------------------------------------

  /** A message on the control connection; called on its event loop. */
  public void onMessage(Hello peer, ControlMessage message) {
    thread.run(
        () -> {
          if (isPresent(peer)) {
            dispatch(message);
          }
        });
  }

  private void dispatch(ControlMessage message) throws IOException {
    if (message instanceof ControlMessage.PoisonMapApplied applied) {
      onMapApplied(applied);
    } else if (message instanceof ControlMessage.GuestResumed) {
      onGuestResumed();
    } else if (message instanceof ControlMessage.PoisonOutcome poison) {
      onPoisonOutcome(poison);
    } else if (message instanceof ControlMessage.PoisonGivenUp givenUp) {
      onGivenUp(givenUp);
    } else if (message instanceof ControlMessage.HandOver handOver) {
      onHandOver(handOver);
    } else if (message instanceof ControlMessage.HandOverConfirmed) {
      onConfirmed();
    } else if (message instanceof ControlMessage.RecoveryPart part) {
      requireReturned("RecoveryPart").add(part);
    } else if (message instanceof ControlMessage.RecoveryEnd end) {
      onRecoveryEnd(end);
    } else if (message instanceof ControlMessage.CancelRefused refused) {
      cancels.refused("the destination refused: " + refused.reason());
    } else if (message instanceof Refusal refusal) {
      fail(SourceOutcome.Kind.PEER_REFUSED, "the destination refused: " + refusal.reason());
    } else if (message instanceof ControlMessage.Farewell farewell) {
      onFarewell(farewell);
    } else if (!(message instanceof ControlMessage.UnknownMessage)) {
      throw new ProtocolException("a source is never sent " + message.getClass().getSimpleName());
    }
  }

  private void onFarewell(ControlMessage.Farewell farewell) {
    String text = "the destination ended it: " + farewell.reason();
    if (farewell.guestNeverRan() && phase.next().contains(SourcePhase.ABORTED)) {
      end(SourcePhase.ABORTED, SourceOutcome.Kind.ABORTED, text, wholeHere());
    } else {
      fail(SourceOutcome.Kind.ABORTED, text);
    }
  }

  private void onMapApplied(ControlMessage.PoisonMapApplied applied) throws IOException {
    if (phase == SourcePhase.AWAITING_RETURN) {
      onMapChecked(applied);
      return;
    }
    requireMessageIn(SourcePhase.SENDING_MAP, "PoisonMapApplied");
    if (applied.pages() != mapEnd.pages() || !applied.digest().equals(mapEnd.digest())) {
      String text =
          "the destination applied a poison map of %d pages, digest %s; this one has %d, digest %s"
              .formatted(applied.pages(), applied.digest(), mapEnd.pages(), mapEnd.digest());
      send(new Refusal(Refusal.Code.POISON_MAP, text));
      fail(SourceOutcome.Kind.PEER_REFUSED, text);
      return;
    }
    orSayWhyNot(() -> book.mapApplied(memory));
    enter(SourcePhase.MAP_APPLIED, applied.pages() + " poisoned pages in place");
    path = pathToTheNext(book.time());
    send(new ControlMessage.GuestReleased(path));
  }

  /** How the guest came here, and that it leaves now. */
  private List<Departure> pathToTheNext(Instant leaves) {
    List<Departure> hops = new ArrayList<>(subject.journal().departures());
    hops.add(new Departure(settings.host(), leaves));
    return hops.subList(Math.max(0, hops.size() - ControlMessage.HOPS_MAX), hops.size());
  }

  private void onGuestResumed() {
    requireMessageIn(SourcePhase.MAP_APPLIED, "GuestResumed");
    enter(SourcePhase.SERVING, "the guest runs at the destination");
    pumpStreams();
  }

  private void pumpStreams() {
    streams.forEach((channel, stream) -> channel.eventLoop().execute(stream::pump));
  }

  private void onPoisonOutcome(ControlMessage.PoisonOutcome poison) throws IOException {
    lost.confirmed(poison.poisoned(), poison.held());
    awaited.confirm(poison.poisoned(), poison.held());
    decideHandOver();
  }

  /** Fresh memory of the destination's, by the guest's own doing: no loss any more. */
  private void onGivenUp(ControlMessage.PoisonGivenUp givenUp) {
    if (phase != SourcePhase.SERVING && phase != SourcePhase.AWAITING_RETURN) {
      throw new ProtocolException("PoisonGivenUp in phase " + phase);
    }
    lost.givenUp(givenUp.frames());
  }

  private void onHandOver(ControlMessage.HandOver handOver) throws IOException {
    requireMessageIn(SourcePhase.SERVING, "HandOver");
    pendingHandOver = handOver;
    decideHandOver();
  }

  /** Poison that the destination has not answered for yet would make any verdict premature. */
  private void decideHandOver() throws IOException {
    if (pendingHandOver == null || phase != SourcePhase.SERVING || !lost.isConfirmed()) {
      return;
    }
    Optional<String> objection =
        HandOverCheck.objection(layout, lost.lostForTheGuest(), pendingHandOver);
    if (objection.isPresent()) {
      send(new Refusal(Refusal.Code.HAND_OVER, objection.get()));
      fail(SourceOutcome.Kind.VERIFICATION_FAILED, objection.get());
      return;
    }
    if (!lost.isSettled()) {
      lost.settle(this::decideHandOver);
      return;
    }
    if (!book.isHandedOver()) {
      writes.add(this::bookAndDecideHandOver);
      return;
    }
    enter(SourcePhase.HANDING_OVER, "counts, ledger and markers agree");
    send(new ControlMessage.HandOverAccepted());
    giveUpWaiting(CONFIRM_WITHIN, this::stopWaitingForConfirmation);
  }

  private void bookAndDecideHandOver() throws IOException {
    book.handedOver();
    decideHandOver();
  }

  private void onConfirmed() {
    requireMessageIn(SourcePhase.HANDING_OVER, "HandOverConfirmed");
    handedOver("the guest is at the destination");
  }

  private void stopWaitingForConfirmation() {
    handedOver(
        "the guest is at the destination, whole; it has not said within %d s that it was told so"
            .formatted(CONFIRM_WITHIN.toSeconds()));
  }

  private void handedOver(String text) {
    enter(SourcePhase.HANDED_OVER, text);
    outcome.complete(new SourceOutcome(SourceOutcome.Kind.HANDED_OVER, text));
  }

  // --- breaks --------------------------------------------------------------------------------

  /** All connections go; everything else stays as it is. */
  private void awaitReturn(String text) {
    if (phase != SourcePhase.AWAITING_RETURN) {
      interrupted = phase;
      enter(SourcePhase.AWAITING_RETURN, text);
      if (interrupted == SourcePhase.HANDING_OVER) {
        giveUpWaiting(CONFIRM_WITHIN, this::stopWaitingForConfirmation);
      } else {
        giveUpWhenTooLong();
      }
    }
    endConnections();
  }

  private void giveUpWhenTooLong() {
    settings.returnWithin().ifPresent(time -> giveUpWaiting(time, this::stopWaitingForReturn));
  }

  private void giveUpWaiting(Duration time, Runnable what) {
    int of = ++waits;
    SourcePhase waiting = phase;
    thread.later(
        () -> {
          if (of == waits && phase == waiting) {
            what.run();
          }
        },
        time);
  }

  private void stopWaitingForReturn() {
    fail(
        SourceOutcome.Kind.ABORTED,
        "the destination did not come back within %d s"
            .formatted(settings.returnWithin().orElseThrow().toSeconds()));
  }

  /** Afterwards no event loop reads or sends a page: all of them have seen their channels close. */
  private void endConnections() {
    closeConnections().forEach(ChannelFuture::awaitUninterruptibly);
    urgent.clear();
    streams.clear();
    control = null;
    pendingHandOver = null;
    returned = null;
  }

  /** The same destination, by another attempt; this side may not have noticed the break. */
  private void onReturn(Hello hello, Channel channel) throws IOException {
    if (phase != SourcePhase.AWAITING_RETURN) {
      awaitReturn("the destination has given these connections up");
    }
    endConnections();
    attempt = hello.attempt();
    meet(hello, channel);
    returned = new ReturnedDestination(parts, cursor);
    send(new ControlMessage.SourceIdentity(samples.again(memory)));
  }

  private ReturnedDestination requireReturned(String message) {
    if (phase != SourcePhase.AWAITING_RETURN || returned == null || returned.hasEnded()) {
      throw new ProtocolException(
          "%s in phase %s; it is a destination's first word after a break"
              .formatted(message, phase));
    }
    return returned;
  }

  private void onRecoveryEnd(ControlMessage.RecoveryEnd end) {
    ReturnedDestination destination = requireReturned("RecoveryEnd");
    destination.end(end);
    // A loss that an old connection's reader has found is on its way to this thread, in front of
    // what is said now; judged before it, the destination would never be told.
    thread.run(
        () -> {
          if (destination == returned) {
            agreeWith(destination);
          }
        });
  }

  private void agreeWith(ReturnedDestination destination) {
    destination.startOver();
    destination.losses().forEach(this::send);
    awaited.confirm(destination.poisoned(), new PageSet());
    send(new ControlMessage.PoisonMapCheck());
  }

  /** The destination has dealt with every loss that it was told of. */
  private void onMapChecked(ControlMessage.PoisonMapApplied applied) {
    if (returned == null || !returned.hasEnded()) {
      throw new ProtocolException("PoisonMapApplied before RecoveryEnd");
    }
    Optional<String> objection = returned.objection(applied);
    if (objection.isPresent()) {
      send(new Refusal(Refusal.Code.POISON_MAP, objection.get()));
      fail(SourceOutcome.Kind.VERIFICATION_FAILED, objection.get());
    } else {
      recovered(returned);
    }
  }

  private void recovered(ReturnedDestination destination) {
    returned = null;
    enter(
        destination.isResumed() ? SourcePhase.SERVING : SourcePhase.MAP_APPLIED,
        "the destination is back, by attempt " + attempt);
    send(new ControlMessage.RecoveryAccepted());
    if (cancels.isOpen()) {
      askToCancel(); // before it may run the guest, if it may not yet
    }
    if (!destination.isReleased()) {
      send(new ControlMessage.GuestReleased(path));
    }
  }

  /** What cannot be said because of a break is part of what recovery says. */
  private void send(ControlMessage message) {
    if (control != null) {
      control.writeAndFlush(new ControlFrame(message));
    }
  }

  private void requireMessageIn(SourcePhase expected, String message) {
    if (phase != expected) {
      throw new ProtocolException(
          "%s in phase %s; it belongs to phase %s".formatted(message, phase, expected));
    }
  }

  // --- control commands ----------------------------------------------------------------------

  /** Holds the background stream back, or lets it go on. Demand faults are always answered. */
  public void pauseStream(boolean pause) {
    cursor.pause(pause);
    thread.run(this::pumpIfServing);
  }

  private void pumpIfServing() {
    if (phase == SourcePhase.SERVING) {
      pumpStreams();
    }
  }

  /**
   * Takes a loss that somebody else noticed on this host.
   *
   * @return completes when the destination has said which pages are poisoned there and which it had
   *     copied before; at once while no destination has been sent the map
   */
  public CompletionStage<PoisonReport.Result> reportPoison(List<PoisonEntry> entries) {
    return thread.answer(answer -> takeReport(entries, answer));
  }

  private void takeReport(List<PoisonEntry> entries, CompletableFuture<PoisonReport.Result> answer)
      throws IOException {
    requireReportable(entries);
    PageSet known = subject.journal().ledger().frames();
    PoisonReport report = PoisonReport.of(entries, known, answer);
    lost.record(entries);
    if (phase == SourcePhase.LISTENING) {
      report.allPoisoned();
    } else {
      sendLate(entries, report);
    }
  }

  private void sendLate(List<PoisonEntry> entries, PoisonReport report) {
    if (report.isFinished()) {
      report.finish();
      return;
    }
    awaited.add(report);
    send(new ControlMessage.LatePoison(entries));
  }

  private void requireReportable(List<PoisonEntry> entries) throws IOException {
    if (phase.isLast() || hasAgreed()) {
      throw new IOException(
          "too late: this source is in phase %s; report the loss where the guest is"
              .formatted(phase));
    }
    for (PoisonEntry entry : entries) {
      long pages = 1L << (entry.pageShift() - PoisonEntry.MIN_PAGE_SHIFT);
      OptionalLong first = layout.runAt(entry.guestPhysicalAddress(), pages);
      if (first.isEmpty()) {
        throw new IOException(
            "guest-physical address 0x%x, %d pages, is not RAM of guest %s; see the layout file"
                .formatted(entry.guestPhysicalAddress(), pages, layout.guest()));
      }
    }
  }

  /**
   * Gives the migration up, if the guest has not run at the destination: it is as it was.
   *
   * @param guestNeverRan the operator's word for a destination that cannot be asked any more
   * @return what came of it; fails with an IOException that says where the guest is and what is
   *     possible instead
   */
  public CompletionStage<String> cancel(String reason, boolean guestNeverRan) {
    return thread.answer(answer -> takeCancel(reason, guestNeverRan, answer));
  }

  private void takeCancel(String reason, boolean guestNeverRan, CompletableFuture<String> answer) {
    cancels.add(reason, answer);
    boolean away = phase == SourcePhase.AWAITING_RETURN;
    switch (away ? interrupted : phase) {
      case LISTENING, SENDING_MAP -> cancelHere();
      case MAP_APPLIED -> {
        if (away && guestNeverRan) {
          takeBack();
        } else {
          askToCancel();
          thread.later(
              () -> cancels.unanswered(answer),
              Duration.ofSeconds(CancelRequests.PATIENCE_SECONDS));
        }
      }
      default -> cancels.refused(whyNoCancel());
    }
  }

  private String cancelText() {
    return "cancelled by an operator: " + cancels.reason();
  }

  private void cancelHere() {
    send(new ControlMessage.Farewell(cancelText(), false));
    fail(SourceOutcome.Kind.ABORTED, cancelText());
  }

  private void takeBack() {
    end(
        SourcePhase.ABORTED,
        SourceOutcome.Kind.ABORTED,
        cancelText() + ", by whose word the destination has not run the guest, and will not",
        wholeHere());
  }

  /** Only the destination knows whether it has run the guest; without one, it is asked later. */
  private void askToCancel() {
    send(new ControlMessage.CancelRequest(cancels.reason()));
  }

  private String whyNoCancel() {
    return phase.isLast()
        ? "this migration has ended already, in phase " + phase
        : "the guest has run at the destination, %s: it cannot be taken back. Let the migration end, and move the guest back by another one; SIGTERM would end this daemon, and with it what has not arrived there"
            .formatted(peer.host());
  }

  // --- phases ------------------------------------------------------------------------------

  private void failed(Throwable cause) {
    SourceOutcome.Kind kind =
        cause instanceof ProtocolException
            ? SourceOutcome.Kind.PEER_REFUSED
            : SourceOutcome.Kind.HOST_FAILED;
    if (!(cause instanceof IOException) && !(cause instanceof ProtocolException)) {
      log.error("a fault in Ward itself", cause);
    }
    thread.run(
        () -> fail(kind, cause.getMessage() == null ? cause.toString() : cause.getMessage()));
  }

  private void fail(SourceOutcome.Kind kind, String text) {
    if (phase.isLast()) {
      return;
    }
    if (kind == SourceOutcome.Kind.ABORTED && hasAgreed()) {
      handedOver("the guest is at the destination, whole; then " + text);
      return;
    }
    boolean mayHaveRun = phase.mayBeReturnedTo();
    SourceOutcome.Kind last =
        mayHaveRun && kind == SourceOutcome.Kind.ABORTED ? SourceOutcome.Kind.UNFINISHED : kind;
    end(mayHaveRun ? SourcePhase.UNFINISHED : SourcePhase.ABORTED, last, text, whereTheGuestIs());
  }

  /** Whether the destination has proved that it needs nothing more from here. */
  private boolean hasAgreed() {
    return phase == SourcePhase.HANDING_OVER
        || phase == SourcePhase.AWAITING_RETURN && interrupted == SourcePhase.HANDING_OVER;
  }

  private void end(SourcePhase last, SourceOutcome.Kind kind, String text, String where) {
    enter(last, text);
    if (last == SourcePhase.ABORTED) {
      book.forget();
      subject.guest().stay();
    }
    if (last == SourcePhase.ABORTED) {
      cancels.granted(text + "; " + where);
    } else {
      cancels.refused(text + "; " + where);
    }
    awaited.failAll(new IOException("the migration ended first: " + text));
    closeConnections();
    outcome.complete(new SourceOutcome(kind, text + "; " + where));
  }

  private String whereTheGuestIs() {
    return switch (phase == SourcePhase.AWAITING_RETURN ? interrupted : phase) {
      case SERVING ->
          "the guest ran at the destination, which may need this copy: keep it, and do not start the guest here";
      case MAP_APPLIED ->
          "the guest may have run at the destination: start it here only if the destination says that it never ran";
      default -> wholeHere();
    };
  }

  private String wholeHere() {
    return beganElsewhere
        ? WHOLE_HERE + ", but for what its vCPUs held in the process that died"
        : WHOLE_HERE;
  }

  /** The one place where the phase changes. */
  private void enter(SourcePhase next, String reason) {
    if (!phase.next().contains(next)) {
      throw new IllegalStateException("%s cannot follow %s (%s)".formatted(next, phase, reason));
    }
    SourcePhase previous = phase;
    phase = next;
    listener.onPhase(previous, next, reason);
    if (next == SourcePhase.SERVING && cancels.isOpen()) {
      cancels.refused(whyNoCancel());
    }
  }
}
