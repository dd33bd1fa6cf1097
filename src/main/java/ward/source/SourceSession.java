package ward.source;

import io.netty.channel.Channel;
import java.io.IOException;
import java.time.Clock;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import ward.kernel.Kernel;
import ward.memory.GuestLayout;
import ward.poison.LedgerJournal;
import ward.poison.LedgerQueue;
import ward.poison.MigrationRecord;
import ward.poison.PoisonEntry;
import ward.thread.SessionThread;
import ward.wire.ControlFrame;
import ward.wire.ControlMessage;
import ward.wire.ControlMessage.Hello;
import ward.wire.ControlMessage.Refusal;
import ward.wire.FrameWriter;
import ward.wire.Peer;
import ward.wire.ProtocolException;

/**
 * One outgoing migration of a guest.
 *
 * <p>Confined to a thread of its own, which may wait for the disk; the connections' threads read
 * pages and send them. {@link SourcePhase} says what is true when. Here is who hears what; what a
 * part of the way needs is with that part: {@link Offer} before the destination may run the guest,
 * {@link Serving} while it does, {@link HandOver} when it has everything, {@link Recovery} and
 * {@link Exchange} over a break, {@link Ending} in the end.
 */
public final class SourceSession implements AutoCloseable {

  /** What is migrated. All of it stays the caller's, and outlives the session. */
  public record Subject(ServedMemory memory, DepartingGuest guest, LedgerJournal journal) {}

  private final SessionThread thread = new SessionThread("source", this::failed);
  private final CancelRequests cancels = new CancelRequests();
  private final GuestLayout layout;
  private final Course course;
  private final DestinationContact contact;
  private final Ending ending;
  private final Offer offer;
  private final Pace pace;
  private final Serving serving;
  private final LossReports reports;
  private final HandOver handOver;
  private final Orders orders;
  private final Exchange exchange;
  private final Recovery recovery;

  /**
   * @throws IOException if the ledger lists pages that the guest does not have
   */
  public SourceSession(
      SourceSettings settings, Kernel kernel, Subject subject, SourceListener listener)
      throws IOException {
    LedgerJournal journal = subject.journal();
    Clock clock = Clock.systemUTC();
    layout = subject.memory().memory().layout();
    LedgerQueue writes =
        new LedgerQueue(
            (task, millis) -> thread.later(task::run, Duration.ofMillis(millis)),
            settings::ledgerPatience,
            this::failed);
    ServedPages served = new ServedPages(layout.pageCount());
    LostPages lost = new LostPages(layout, served, journal, settings, clock, writes, listener);
    PageReader reader = new PageReader(kernel, subject.memory());
    SourceParts parts = new SourceParts(layout, served, reader, lost, listener);
    StreamCursor cursor = new StreamCursor(layout, settings.streamPaused());
    pace = new Pace(System::nanoTime, settings.streamBytesPerSecond());
    MigrationBook book = new MigrationBook(journal.migrationFile(), subject.memory(), clock);
    AwaitedReports awaited = new AwaitedReports();

    course = new Course(listener);
    contact = new DestinationContact(course);
    ending = new Ending(course, contact, subject.guest(), book, cancels, awaited, thread);
    offer = new Offer(parts, subject, settings.host(), book, course, contact, ending);
    serving = new Serving(parts, cursor, pace, course, contact, thread);
    reports = new LossReports(parts, journal, awaited, course, contact);
    Patience patience = new Patience(course, thread);
    handOver = new HandOver(parts, writes, book, course, contact, ending, patience);
    orders = new Orders(cancels, course, contact, ending, thread);
    exchange = new Exchange(parts, cursor, awaited, course, contact, offer, orders, ending, thread);
    recovery =
        new Recovery(
            settings.returnWithin(),
            course,
            contact,
            serving,
            handOver,
            exchange,
            ending,
            patience,
            thread);
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
    offer.goOn(earlier);
    contact.goOn(earlier.session(), earlier.attempt());
    course.goOn(
        "session %s with %s was begun by another process"
            .formatted(earlier.session(), earlier.peer()));
    recovery.giveUpWhenTooLong();
  }

  // --- from outside, on any thread -------------------------------------------------------------

  public SourcePhase phase() {
    return course.phase();
  }

  /** The destination's, once one has come. */
  public Optional<UUID> session() {
    return Optional.ofNullable(contact.session());
  }

  /** How often the destination has made its connections, from 1; 0 before one has come. */
  public int attempt() {
    return contact.attempt();
  }

  /** The destination that came last. */
  public Peer peer() {
    return contact.peer();
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
    return ending.outcome();
  }

  /** Holds the background stream back, or lets it go on. Demand faults are always answered. */
  public void pauseStream(boolean pause) {
    serving.pause(pause);
  }

  /**
   * Limits the background streams, together; demand faults and what is said of poison are not.
   *
   * @param bytesPerSecond 0 for no limit
   */
  public void limitStream(long bytesPerSecond) {
    pace.limit(bytesPerSecond);
  }

  /** What the streams may send in a second, in bytes; 0 without a limit. */
  public long streamBytesPerSecond() {
    return pace.bytesPerSecond();
  }

  /**
   * Takes a loss that somebody else noticed on this host.
   *
   * @return completes when the destination has said which pages are poisoned there and which it had
   *     copied before; at once while no destination has been sent the map
   */
  public CompletionStage<PoisonReport.Result> reportPoison(List<PoisonEntry> entries) {
    return thread.answer(answer -> reports.report(entries, answer));
  }

  /**
   * Gives the migration up, if the guest has not run at the destination: it is as it was.
   *
   * @param guestNeverRan the operator's word for a destination that cannot be asked any more
   * @return what came of it; fails with an IOException that says where the guest is and what is
   *     possible instead
   */
  public CompletionStage<String> cancel(String reason, boolean guestNeverRan) {
    return thread.answer(answer -> orders.cancel(reason, guestNeverRan, answer));
  }

  /** Ends the migration; for an operator's SIGTERM. */
  public void abandon(String reason) {
    thread.run(
        () -> {
          contact.send(new ControlMessage.Farewell(reason, false));
          ending.fail(SourceOutcome.Kind.ABORTED, reason);
        });
  }

  /**
   * Ends everything that reads the memory, which may be unmapped afterwards: a connection's thread
   * in the middle of a slice would otherwise send whatever is mapped there next. Not for a
   * connection's thread to call.
   */
  @Override
  public void close() {
    thread.run(() -> ending.fail(SourceOutcome.Kind.ABORTED, "the session was closed"));
    thread.close();
    contact.close().forEach(CompletableFuture::join);
  }

  // --- what connections report, on their threads ------------------------------------------------

  /** Whether a peer that said Hello may stay. */
  public Optional<Refusal> judge(Hello hello) {
    return contact.judge(hello);
  }

  /** A control connection that was judged well is ready. */
  public void connected(Hello hello, Channel channel) {
    thread.run(() -> onControl(hello, channel));
  }

  /** A connection for the background stream that was judged well is ready. */
  void connected(Hello hello, StreamConnection connection) {
    thread.run(
        () -> {
          if (contact.isPresent(hello) && !course.isOver()) {
            StreamThread turns = new StreamThread(cause -> lost(hello, cause));
            contact.add(connection, turns);
            serving.add(connection, turns);
          } else {
            connection.end(); // the session was recovered, or has ended, in between
          }
        });
  }

  /** A connection for requests that was judged well is ready. */
  void connected(Hello hello, UrgentConnection connection) {
    thread.run(
        () -> {
          if (contact.isPresent(hello) && !course.isOver()) {
            contact.add(connection.start());
          } else {
            connection.close(); // the session was recovered, or has ended, in between
          }
        });
  }

  /** A demand fault, on the urgent connection's thread. */
  void onRequest(
      Hello peer,
      long requestId,
      long guestPhysicalAddress,
      int pageCount,
      FrameWriter out,
      UrgentConnection connection) {
    serving.onRequest(peer, requestId, guestPhysicalAddress, pageCount, out, connection);
  }

  /** A message on the control connection. */
  public void onMessage(Hello peer, ControlMessage message) {
    thread.run(
        () -> {
          if (contact.isPresent(peer)) {
            dispatch(message);
          }
        });
  }

  /**
   * A connection of the session is gone.
   *
   * @param cause null if the peer closed it without a word
   */
  public void lost(Hello hello, Throwable cause) {
    thread.run(() -> recovery.onLost(hello, cause));
  }

  // --- the way of a guest, on the session's thread ----------------------------------------------

  private void onControl(Hello hello, Channel channel) throws IOException {
    if (contact.isReturn(hello)) {
      recovery.onReturn(hello, channel);
    } else if (contact.session() != null || course.isOver()) {
      turnAway(channel);
    } else {
      contact.meet(hello, channel);
      course.enter(
          SourcePhase.SENDING_MAP,
          "destination " + hello.host() + " at " + channel.remoteAddress());
      offer.make(hello, channel);
    }
  }

  private static void turnAway(Channel channel) {
    channel.writeAndFlush(
        new ControlFrame(
            new Refusal(
                Refusal.Code.BUSY, "another destination came first, or the source gives up")));
    channel.close();
  }

  private void dispatch(ControlMessage message) throws IOException {
    if (message instanceof ControlMessage.PoisonMapApplied applied) {
      onMapApplied(applied);
    } else if (message instanceof ControlMessage.GuestResumed) {
      onGuestResumed();
    } else if (message instanceof ControlMessage.PoisonOutcome poison) {
      reports.onOutcome(poison);
      handOver.decide();
    } else if (message instanceof ControlMessage.ReportPoison report) {
      reports.onWidened(report);
    } else if (message instanceof ControlMessage.PoisonGivenUp givenUp) {
      reports.onGivenUp(givenUp);
    } else if (message instanceof ControlMessage.HandOver word) {
      handOver.onHandOver(word);
    } else if (message instanceof ControlMessage.HandOverConfirmed) {
      handOver.onConfirmed();
    } else if (message instanceof ControlMessage.RecoveryPart part) {
      exchange.onPart(part);
    } else if (message instanceof ControlMessage.RecoveryEnd end) {
      exchange.onEnd(end);
    } else if (message instanceof ControlMessage.CancelRefused refused) {
      cancels.refused("the destination refused: " + refused.reason());
    } else if (message instanceof Refusal refusal) {
      ending.fail(SourceOutcome.Kind.PEER_REFUSED, "the destination refused: " + refusal.reason());
    } else if (message instanceof ControlMessage.Farewell farewell) {
      onFarewell(farewell);
    } else if (!(message instanceof ControlMessage.UnknownMessage)) {
      throw new ProtocolException("a source is never sent " + message.getClass().getSimpleName());
    }
  }

  private void onMapApplied(ControlMessage.PoisonMapApplied applied) throws IOException {
    if (course.is(SourcePhase.AWAITING_RETURN)) {
      exchange.onMapChecked(applied);
    } else {
      offer.onMapApplied(applied);
    }
  }

  private void onGuestResumed() {
    course.requireMessageIn(SourcePhase.MAP_APPLIED, "GuestResumed");
    course.enter(SourcePhase.SERVING, "the guest runs at the destination");
    orders.refuseIfOpen();
    serving.pump();
  }

  private void onFarewell(ControlMessage.Farewell farewell) {
    String text = "the destination ended it: " + farewell.reason();
    if (farewell.guestNeverRan() && course.phase().next().contains(SourcePhase.ABORTED)) {
      ending.takeBack(text);
    } else {
      ending.fail(SourceOutcome.Kind.ABORTED, text);
    }
  }

  /** Callable from any thread. */
  private void failed(Throwable cause) {
    ending.failed(cause);
  }
}
