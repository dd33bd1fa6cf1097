package ward.source;

import io.netty.channel.Channel;
import io.netty.channel.ChannelFuture;
import java.io.IOException;
import java.time.Clock;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.TimeUnit;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import ward.kernel.Kernel;
import ward.memory.GuestLayout;
import ward.memory.PageSet;
import ward.memory.Pages;
import ward.poison.LedgerDigest;
import ward.poison.LedgerJournal;
import ward.poison.Origin;
import ward.poison.PoisonEntry;
import ward.wire.ConnectionKind;
import ward.wire.ControlFrame;
import ward.wire.ControlMessage;
import ward.wire.ControlMessage.Hello;
import ward.wire.ControlMessage.Refusal;
import ward.wire.PageRequest;
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

  /** Entries in one message of the poison map: well under the bound of a message. */
  private static final int MAP_PART = 4096;

  private static final int CLOSE_SECONDS = 30;

  /** What is migrated. All of it stays the caller's, and outlives the session. */
  public record Subject(SourceMemory memory, DepartingGuest guest, LedgerJournal journal) {}

  private final Subject subject;
  private final SourceListener listener;
  private final ExecutorService thread =
      Executors.newSingleThreadExecutor(task -> new Thread(task, "ward-session"));
  private final CompletableFuture<SourceOutcome> outcome = new CompletableFuture<>();
  private final GuestLayout layout;
  private final LostPages lost;
  private final SourceParts parts;
  private final PageAnswerer answerer;
  private final StreamCursor cursor;
  private final List<Channel> urgent = new ArrayList<>();
  private final Map<Channel, BackgroundStream> streams = new LinkedHashMap<>();
  private final Map<Long, PoisonReport> awaited = new HashMap<>();

  private volatile SourcePhase phase = SourcePhase.LISTENING;
  private volatile UUID session;
  private Channel control;
  private ControlMessage.PoisonMapEnd mapEnd;
  private ControlMessage.HandOver pendingHandOver;

  /**
   * @throws IOException if the ledger lists pages that the guest does not have
   */
  public SourceSession(
      SourceSettings settings, Kernel kernel, Subject subject, SourceListener listener)
      throws IOException {
    this.subject = subject;
    this.listener = listener;
    layout = subject.memory().memory().layout();
    ServedPages served = new ServedPages(layout.pageCount());
    lost =
        new LostPages(
            layout, served, subject.journal(), settings, Clock.systemUTC(), thread, listener);
    PageReader reader = new PageReader(kernel, subject.memory().memory());
    parts = new SourceParts(layout, served, reader, lost, listener);
    answerer = new PageAnswerer(parts, this::failed);
    cursor = new StreamCursor(layout, settings.streamPaused());
    requireLedgerInLayout();
    lost.startFromLedger();
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

  /** Completes with the end of the migration. */
  public CompletionStage<SourceOutcome> outcome() {
    return outcome;
  }

  /** Ends the migration; for an operator's SIGTERM. */
  public void abandon(String reason) {
    run(
        () -> {
          if (control != null) {
            send(new ControlMessage.Farewell(reason));
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
    run(() -> fail(SourceOutcome.Kind.ABORTED, "the session was closed"));
    stopThread();
    closeConnections().forEach(ChannelFuture::awaitUninterruptibly);
  }

  private void stopThread() {
    thread.shutdown();
    try {
      if (!thread.awaitTermination(CLOSE_SECONDS, TimeUnit.SECONDS)) {
        log.warn("the session's thread did not end within {} seconds", CLOSE_SECONDS);
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  // --- connections -------------------------------------------------------------------------

  /** Whether a peer that said Hello may stay; called on its event loop. */
  public Optional<Refusal> judge(Hello hello) {
    if (hello.role() != Role.DESTINATION) {
      return refusal(
          Refusal.Code.PROTOCOL, "a source talks to destinations, not to " + hello.role());
    }
    if (hello.kind() == ConnectionKind.CONTROL) {
      return session == null
          ? Optional.empty()
          : refusal(Refusal.Code.BUSY, "another destination has this guest, in phase " + phase);
    }
    return hello.session().equals(session)
        ? Optional.empty()
        : refusal(Refusal.Code.PROTOCOL, "no such session: " + hello.session());
  }

  private static Optional<Refusal> refusal(Refusal.Code code, String reason) {
    return Optional.of(new Refusal(code, reason));
  }

  /** A connection that was judged well is ready; called on its event loop. */
  public void connected(Hello hello, Channel channel) {
    run(
        () -> {
          switch (hello.kind()) {
            case CONTROL -> onControl(hello, channel);
            case URGENT -> urgent.add(channel);
            case STREAM -> onStream(channel);
            case LOCAL ->
                throw new ProtocolException("LOCAL connections come by the control socket");
          }
        });
  }

  private void onControl(Hello hello, Channel channel) throws IOException {
    if (session != null || phase.isLast()) {
      channel.writeAndFlush(
          new ControlFrame(
              new Refusal(
                  Refusal.Code.BUSY, "another destination came first, or the source gives up")));
      channel.close();
      return;
    }
    session = hello.session();
    control = channel;
    enter(
        SourcePhase.SENDING_MAP, "destination " + hello.host() + " at " + channel.remoteAddress());
    try {
      sendGuest();
    } catch (IOException e) {
      send(
          new Refusal(
              Refusal.Code.HOST, "the source cannot give the guest away: " + e.getMessage()));
      throw e;
    }
  }

  /**
   * Poison travels first: the whole map goes out before a page does. What the guest met while it
   * ran here is in the ledger when it stands still.
   */
  private void sendGuest() throws IOException {
    byte[] vcpuStates = subject.guest().leave();
    requireLedgerInLayout();
    lost.startFromLedger();
    send(new ControlMessage.GuestOffer(layout, vcpuStates));
    List<PoisonEntry> entries = subject.journal().ledger().effectiveEntries();
    for (int from = 0; from < entries.size(); from += MAP_PART) {
      int to = Math.min(entries.size(), from + MAP_PART);
      send(new ControlMessage.PoisonMapPart(entries.subList(from, to)));
    }
    PageSet frames = subject.journal().ledger().frames();
    lost.inTheMap(frames);
    mapEnd = new ControlMessage.PoisonMapEnd(frames.size(), LedgerDigest.ofFrames(frames));
    send(mapEnd);
  }

  private void onStream(Channel channel) {
    BackgroundStream stream = new BackgroundStream(parts, cursor, this::failed, channel);
    streams.put(channel, stream);
    if (phase == SourcePhase.SERVING) {
      channel.eventLoop().execute(stream::pump);
    }
  }

  /** The socket of a stream has room again; called on its event loop. */
  public void writable(Channel channel) {
    run(
        () -> {
          BackgroundStream stream = streams.get(channel);
          if (stream != null && phase == SourcePhase.SERVING) {
            channel.eventLoop().execute(stream::pump);
          }
        });
  }

  /** A demand fault; called on the urgent connection's event loop. */
  public void onRequest(PageRequest request, Channel channel) {
    if (mayBeAsked()) {
      answerer.answer(request, channel);
    } else {
      run(() -> answerInTurn(request, channel));
    }
  }

  private boolean mayBeAsked() {
    return phase == SourcePhase.MAP_APPLIED || phase == SourcePhase.SERVING;
  }

  /** What came before the request on the control connection may still wait for the disk. */
  private void answerInTurn(PageRequest request, Channel channel) {
    if (phase.isLast()) {
      return;
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
    run(
        () -> {
          if (session == null || !session.equals(hello.session())) {
            return;
          }
          String what = cause == null ? "the destination closed it" : cause.getMessage();
          fail(
              cause instanceof ProtocolException
                  ? SourceOutcome.Kind.PEER_REFUSED
                  : SourceOutcome.Kind.ABORTED,
              "%s connection: %s".formatted(hello.kind(), what));
        });
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
  public void onMessage(ControlMessage message) {
    run(() -> dispatch(message));
  }

  private void dispatch(ControlMessage message) throws IOException {
    if (message instanceof ControlMessage.PoisonMapApplied applied) {
      onMapApplied(applied);
    } else if (message instanceof ControlMessage.GuestResumed) {
      onGuestResumed();
    } else if (message instanceof ControlMessage.PoisonOutcome poison) {
      onPoisonOutcome(poison);
    } else if (message instanceof ControlMessage.HandOver handOver) {
      onHandOver(handOver);
    } else if (message instanceof Refusal refusal) {
      fail(SourceOutcome.Kind.PEER_REFUSED, "the destination refused: " + refusal.reason());
    } else if (message instanceof ControlMessage.Farewell farewell) {
      fail(SourceOutcome.Kind.ABORTED, "the destination ended it: " + farewell.reason());
    } else if (!(message instanceof ControlMessage.UnknownMessage)) {
      throw new ProtocolException("a source is never sent " + message.getClass().getSimpleName());
    }
  }

  private void onMapApplied(ControlMessage.PoisonMapApplied applied) {
    requireMessageIn(SourcePhase.SENDING_MAP, "PoisonMapApplied");
    if (applied.pages() != mapEnd.pages() || !applied.digest().equals(mapEnd.digest())) {
      String text =
          "the destination applied a poison map of %d pages, digest %s; this one has %d, digest %s"
              .formatted(applied.pages(), applied.digest(), mapEnd.pages(), mapEnd.digest());
      send(new Refusal(Refusal.Code.POISON_MAP, text));
      fail(SourceOutcome.Kind.PEER_REFUSED, text);
      return;
    }
    enter(SourcePhase.MAP_APPLIED, applied.pages() + " poisoned pages in place");
    send(new ControlMessage.GuestReleased());
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
    for (PoisonReport report : new LinkedHashSet<>(awaited.values())) {
      if (report.confirm(poison.poisoned(), poison.held())) {
        awaited.values().removeIf(report::equals);
        report.finish();
      }
    }
    decideHandOver();
  }

  private void onHandOver(ControlMessage.HandOver handOver) throws IOException {
    requireMessageIn(SourcePhase.SERVING, "HandOver");
    pendingHandOver = handOver;
    decideHandOver();
  }

  /** Poison that the destination has not answered for yet would make any verdict premature. */
  private void decideHandOver() throws IOException {
    if (pendingHandOver == null || !lost.isConfirmed()) {
      return;
    }
    Optional<String> objection =
        HandOverCheck.objection(layout, lost.lostForTheGuest(), pendingHandOver);
    if (objection.isPresent()) {
      send(new Refusal(Refusal.Code.HAND_OVER, objection.get()));
      fail(SourceOutcome.Kind.VERIFICATION_FAILED, objection.get());
      return;
    }
    lost.settle();
    enter(SourcePhase.HANDED_OVER, "counts, ledger and markers agree");
    control
        .writeAndFlush(new ControlFrame(new ControlMessage.HandOverAccepted()))
        .addListener(sent -> outcome.complete(handedOver(sent.cause())));
  }

  /**
   * @param failure of sending the acceptance; null if it went out
   */
  private static SourceOutcome handedOver(Throwable failure) {
    return failure == null
        ? new SourceOutcome(SourceOutcome.Kind.HANDED_OVER, "the guest is at the destination")
        : new SourceOutcome(
            SourceOutcome.Kind.UNFINISHED,
            "everything is at the destination, but it could not be told that this side agrees (%s); the guest is paused there, keep this copy until it runs"
                .formatted(failure.getMessage()));
  }

  private void send(ControlMessage message) {
    control.writeAndFlush(new ControlFrame(message));
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
    run(this::pumpIfServing);
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
    CompletableFuture<PoisonReport.Result> answer = new CompletableFuture<>();
    try {
      thread.execute(() -> takeReport(entries, answer));
    } catch (RejectedExecutionException e) {
      answer.completeExceptionally(new IOException("the source has ended"));
    }
    return answer;
  }

  private void takeReport(
      List<PoisonEntry> entries, CompletableFuture<PoisonReport.Result> answer) {
    try {
      requireReportable(entries);
      PageSet known = subject.journal().ledger().frames();
      PoisonReport report = PoisonReport.of(entries, known, answer);
      lost.record(entries);
      if (phase == SourcePhase.LISTENING) {
        report.allPoisoned();
      } else {
        sendLate(entries, report);
      }
    } catch (IOException | RuntimeException e) {
      answer.completeExceptionally(e);
    }
  }

  private void sendLate(List<PoisonEntry> entries, PoisonReport report) {
    if (report.isFinished()) {
      report.finish();
      return;
    }
    report.open().forEach(frame -> awaited.put(frame, report));
    send(new ControlMessage.LatePoison(entries));
  }

  private void requireReportable(List<PoisonEntry> entries) throws IOException {
    if (phase.isLast()) {
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

  /** An origin for a loss that is reported now. */
  public Origin reportedNow(String host) {
    return new Origin(host, Clock.systemUTC().instant(), Origin.Discovery.REPORTED);
  }

  // --- phases ------------------------------------------------------------------------------

  private interface Step {
    void run() throws IOException;
  }

  private void run(Step step) {
    try {
      thread.execute(
          () -> {
            try {
              step.run();
            } catch (IOException | RuntimeException e) {
              failed(e);
            }
          });
    } catch (RejectedExecutionException e) {
      log.debug("after the end: {}", step);
    }
  }

  private void failed(Throwable cause) {
    SourceOutcome.Kind kind =
        cause instanceof ProtocolException
            ? SourceOutcome.Kind.PEER_REFUSED
            : SourceOutcome.Kind.HOST_FAILED;
    if (!(cause instanceof IOException) && !(cause instanceof ProtocolException)) {
      log.error("a fault in Ward itself", cause);
    }
    run(() -> fail(kind, cause.getMessage() == null ? cause.toString() : cause.getMessage()));
  }

  private void fail(SourceOutcome.Kind kind, String text) {
    if (phase.isLast()) {
      return;
    }
    boolean ran = phase.next().contains(SourcePhase.UNFINISHED);
    String where = whereTheGuestIs();
    enter(ran ? SourcePhase.UNFINISHED : SourcePhase.ABORTED, text);
    if (!ran) {
      subject.guest().stay();
    }
    for (PoisonReport report : new LinkedHashSet<>(awaited.values())) {
      report.fail(new IOException("the migration ended first: " + text));
    }
    closeConnections();
    SourceOutcome.Kind last =
        ran && kind == SourceOutcome.Kind.ABORTED ? SourceOutcome.Kind.UNFINISHED : kind;
    outcome.complete(new SourceOutcome(last, text + "; " + where));
  }

  private String whereTheGuestIs() {
    return switch (phase) {
      case SERVING ->
          "the guest ran at the destination, which may need this copy: keep it, and do not start the guest here";
      case MAP_APPLIED ->
          "the guest may have run at the destination: start it here only if the destination says that it never ran";
      default -> "the guest never ran at the destination, it is whole here";
    };
  }

  /** The one place where the phase changes. */
  private void enter(SourcePhase next, String reason) {
    if (!phase.next().contains(next)) {
      throw new IllegalStateException("%s cannot follow %s (%s)".formatted(next, phase, reason));
    }
    SourcePhase previous = phase;
    phase = next;
    listener.onPhase(previous, next, reason);
  }
}
