package ward.destination;

import io.netty.channel.Channel;
import io.netty.channel.IoEventLoop;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Queue;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.TimeUnit;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import ward.guest.Guest;
import ward.guest.GuestFactory;
import ward.memory.PageSet;
import ward.poison.LedgerDigest;
import ward.poison.LedgerException;
import ward.poison.LedgerJournal;
import ward.poison.PoisonEntry;
import ward.uffd.MarkerScan;
import ward.uffd.Userfaultfd;
import ward.wire.ConnectionKind;
import ward.wire.ControlFrame;
import ward.wire.ControlMessage;
import ward.wire.ControlMessage.Refusal;
import ward.wire.Frame;
import ward.wire.PageAnswer;
import ward.wire.PageRequest;
import ward.wire.PeerRefusedException;
import ward.wire.ProtocolException;
import ward.wire.StreamEnd;

/**
 * One incoming migration.
 *
 * <p>Confined to a thread of its own, which may wait for the disk and for vCPUs; the event loops
 * only translate and resolve pages. {@link DestinationPhase} says what is true when.
 */
public final class DestinationSession implements AutoCloseable {

  private static final Logger log = LoggerFactory.getLogger(DestinationSession.class);
  private static final int CLOSE_SECONDS = 30;

  /** Opens this host's ledger of a guest, once the source has named the guest. */
  @FunctionalInterface
  public interface LedgerOpener {
    LedgerJournal open(String guest) throws LedgerException;
  }

  /** What a session works with. The userfaultfd stays the caller's. */
  public record Parts(
      GuestFactory guests, LedgerOpener ledgers, Userfaultfd userfaultfd, MarkerScan scan) {}

  private final DestinationSettings settings;
  private final Parts parts;
  private final DestinationListener listener;
  private final SourceLink link;
  private final UUID session = UUID.randomUUID();
  private final ExecutorService thread =
      Executors.newSingleThreadExecutor(task -> new Thread(task, "ward-session"));
  private final CompletableFuture<DestinationOutcome> outcome = new CompletableFuture<>();
  private final List<PoisonEntry> map = new ArrayList<>();
  private final List<Channel> streams = new ArrayList<>();
  private final Queue<PageRequest> early = new ConcurrentLinkedQueue<>();

  private volatile DestinationPhase phase = DestinationPhase.CONNECTING;
  private volatile Arrival arrival;
  private volatile Channel urgent;
  private Channel control;
  private boolean mapEnded;
  private boolean mapApplied;
  private boolean released;
  private int streamsEnded;
  private long startNanos;
  private volatile long pauseNanos;
  private volatile long totalNanos;
  private volatile Audit.Finding finding;
  private volatile String handedOver = "";

  public DestinationSession(
      DestinationSettings settings, Parts parts, SourceLink link, DestinationListener listener) {
    this.settings = settings;
    this.parts = parts;
    this.link = link;
    this.listener = listener;
  }

  /** Connects to the source and goes on from there by itself. */
  public CompletionStage<DestinationOutcome> start() {
    startNanos = System.nanoTime();
    connect(ConnectionKind.CONTROL);
    return outcome;
  }

  /** Ends the migration as if the source had left; for an operator's SIGTERM. */
  public void abandon(String reason) {
    run(() -> fail(DestinationOutcome.Kind.ABORTED, reason));
  }

  /** The guest, from the moment its shape is known; null before. */
  public Guest guest() {
    Arrival current = arrival;
    return current == null ? null : current.guest();
  }

  public DestinationPhase phase() {
    return phase;
  }

  /** A snapshot of the numbers, for reports. */
  public DestinationReport report() {
    Arrival current = arrival;
    return current == null
        ? DestinationReport.NOTHING_YET
        : DestinationReport.of(current, finding, handedOver, pauseNanos, totalNanos);
  }

  @Override
  public void close() {
    run(() -> fail(DestinationOutcome.Kind.ABORTED, "the session was closed"));
    stopThread();
    closeChannels();
    Arrival current = arrival;
    if (current != null) {
      current.end();
      closeJournal(current.journal());
    }
  }

  /** What runs may be in the middle of an append or an ioctl: it ends before its memory goes. */
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

  private static void closeJournal(LedgerJournal journal) {
    try {
      journal.close();
    } catch (IOException e) {
      log.warn("closing the ledger: {}", e.getMessage());
    }
  }

  // --- connections -------------------------------------------------------------------------

  private void connect(ConnectionKind kind) {
    link.connect(settings, session, kind, new LinkEvents(kind));
  }

  /** What one connection reports; called on its event loop. */
  private final class LinkEvents implements SourceLink.Events {

    private final ConnectionKind kind;
    private boolean ended; // confined to the connection's event loop

    LinkEvents(ConnectionKind kind) {
      this.kind = kind;
    }

    @Override
    public void ready(Channel channel) {
      run(() -> onReady(kind, channel));
    }

    @Override
    public void frame(Channel channel, Frame frame) throws IOException {
      if (ended) {
        throw new ProtocolException(
            "%s after StreamEnd; nothing follows it".formatted(frame.getClass().getSimpleName()));
      }
      if (frame instanceof ControlFrame message && kind == ConnectionKind.CONTROL) {
        run(() -> onMessage(message.message()));
      } else {
        ended = frame instanceof StreamEnd;
        onPageFrame(kind, frame);
      }
    }

    @Override
    public void lost(Throwable cause) {
      onLinkLost(kind, cause);
    }
  }

  private void onReady(ConnectionKind kind, Channel channel) {
    if (phase.isLast()) {
      channel.close();
      return;
    }
    switch (kind) {
      case CONTROL -> control = channel;
      case URGENT -> urgent = channel;
      case STREAM -> streams.add(channel);
      case LOCAL -> throw new IllegalStateException("a migration has no LOCAL connection");
    }
    resumeIfReady();
  }

  private void resumeIfReady() {
    if (released && urgent != null && streams.size() == settings.streams()) {
      resumeGuest();
    }
  }

  private void onPageFrame(ConnectionKind kind, Frame frame) throws IOException {
    Arrival current = arrival;
    if (current == null || kind == ConnectionKind.CONTROL) {
      throw new ProtocolException(
          "%s on the %s connection in phase %s"
              .formatted(frame.getClass().getSimpleName(), kind, phase));
    }
    if (frame instanceof StreamEnd && kind == ConnectionKind.STREAM) {
      run(() -> onStreamEnds(1));
    } else if (frame instanceof PageAnswer answer) {
      PageAnswers answers = answers(current);
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

  private PageAnswers answers(Arrival current) {
    return new PageAnswers(current.answerParts(), listener, this::retryLater, this::onPoisonLearnt);
  }

  private void retryLater(long requestId, long delayMillis) {
    urgent
        .eventLoop()
        .schedule(
            () -> {
              arrival.faults().askAgain(requestId);
              urgent.flush();
            },
            delayMillis,
            TimeUnit.MILLISECONDS);
  }

  private void onLinkLost(ConnectionKind kind, Throwable cause) {
    if (cause instanceof ResolveException) {
      failed(cause);
      return;
    }
    run(
        () -> {
          if (phase == DestinationPhase.HANDING_OVER && kind != ConnectionKind.CONTROL) {
            return; // every page is here; a source that lets go closes these, in any order
          }
          DestinationOutcome.Kind outcomeKind =
              cause instanceof ProtocolException || cause instanceof PeerRefusedException
                  ? DestinationOutcome.Kind.PEER_REFUSED
                  : DestinationOutcome.Kind.ABORTED;
          String what = cause == null ? "the source closed it" : textOf(cause);
          fail(outcomeKind, "%s connection: %s".formatted(kind, what));
        });
  }

  private static String textOf(Throwable cause) {
    return cause.getMessage() == null ? cause.toString() : cause.getMessage();
  }

  private void closeChannels() {
    link.close();
  }

  // --- messages, on the session's thread -----------------------------------------------------

  private void onMessage(ControlMessage message) throws IOException {
    if (message instanceof ControlMessage.GuestOffer offer) {
      onOffer(offer);
    } else if (message instanceof ControlMessage.PoisonMapPart part) {
      onMapPart(part);
    } else if (message instanceof ControlMessage.PoisonMapEnd end) {
      onMapEnd(end);
    } else if (message instanceof ControlMessage.GuestReleased) {
      onReleased();
    } else if (message instanceof ControlMessage.LatePoison late) {
      onLatePoison(late);
    } else if (message instanceof ControlMessage.HandOverAccepted) {
      onAccepted();
    } else if (message instanceof Refusal refusal) {
      onRefusal(refusal);
    } else if (message instanceof ControlMessage.Farewell farewell) {
      fail(DestinationOutcome.Kind.ABORTED, "the source ended it: " + farewell.reason());
    } else if (!(message instanceof ControlMessage.UnknownMessage)) {
      throw new ProtocolException(
          "a destination is never sent " + message.getClass().getSimpleName());
    }
  }

  private void onOffer(ControlMessage.GuestOffer offer) throws IOException {
    requireMessageIn(DestinationPhase.CONNECTING, "GuestOffer");
    LedgerJournal journal = parts.ledgers().open(offer.layout().guest());
    for (String warning : journal.warnings()) {
      log.warn("{}", warning);
    }
    try {
      arrival = arrival(offer, journal);
    } catch (IOException e) {
      closeJournal(journal);
      throw e;
    }
    enter(DestinationPhase.RECEIVING_MAP, offer.layout().pageCount() + " pages announced");
  }

  private Arrival arrival(ControlMessage.GuestOffer offer, LedgerJournal journal)
      throws IOException {
    Guest guest = parts.guests().create(offer.layout(), offer.vcpuStates());
    Arrival.Surroundings around =
        new Arrival.Surroundings(
            thread,
            this::writeRequest,
            this::flushRequests,
            () -> run(this::handOver),
            this::failed,
            listener);
    try {
      return new Arrival(guest, journal, parts.userfaultfd(), parts.scan(), around);
    } catch (IOException | RuntimeException e) {
      guest.close();
      throw e;
    }
  }

  /** A page that is touched before the guest runs, by whoever makes it, is asked for later. */
  private void writeRequest(PageRequest request) {
    Channel channel = urgent;
    if (channel == null) {
      early.add(request);
    } else {
      channel.write(request, channel.voidPromise());
    }
  }

  private void flushRequests() {
    Channel channel = urgent;
    if (channel != null) {
      channel.flush();
    }
  }

  private void onMapPart(ControlMessage.PoisonMapPart part) {
    requireMapOpen("PoisonMapPart");
    arrival.requireInLayout(part.entries());
    map.addAll(part.entries());
  }

  private void onMapEnd(ControlMessage.PoisonMapEnd end) {
    requireMapOpen("PoisonMapEnd");
    mapEnded = true;
    arrival
        .recorder()
        .accept(
            List.copyOf(map),
            (poisoned, held) -> {
              arrival.poisonedFrames().addAll(poisoned);
              onMapApplied(end);
            });
    map.clear();
  }

  private void requireMapOpen(String message) {
    requireMessageIn(DestinationPhase.RECEIVING_MAP, message);
    if (mapEnded) {
      throw new ProtocolException(message + " after PoisonMapEnd; a map has one end");
    }
  }

  private void onMapApplied(ControlMessage.PoisonMapEnd end) {
    if (phase.isLast()) {
      return; // given up while the ledger was being written
    }
    PageSet ledger = arrival.journal().ledger().frames();
    LedgerDigest digest = LedgerDigest.ofFrames(ledger);
    if (!digest.equals(end.digest()) || ledger.size() != end.pages()) {
      String text =
          "the ledger here lists %d lost pages, the source's map %d (digests %s, %s): poison is for ever, so one of them is wrong; compare `ward ledger show` on both hosts, or start with an empty --ledger here"
              .formatted(ledger.size(), end.pages(), digest, end.digest());
      send(new Refusal(Refusal.Code.POISON_MAP, text));
      fail(DestinationOutcome.Kind.INPUT_REFUSED, text);
      return;
    }
    mapApplied = true;
    send(new ControlMessage.PoisonMapApplied(ledger.size(), digest));
    connect(ConnectionKind.URGENT);
    for (int i = 0; i < settings.streams(); i++) {
      connect(ConnectionKind.STREAM);
    }
  }

  private void onReleased() {
    requireMessageIn(DestinationPhase.RECEIVING_MAP, "GuestReleased");
    if (!mapApplied || released) {
      throw new ProtocolException(
          "GuestReleased %s; it answers PoisonMapApplied, once"
              .formatted(released ? "again" : "before the poison map was applied"));
    }
    released = true;
    resumeIfReady();
  }

  /** The whole map is in place and acknowledged, and the source has let go of the vCPUs. */
  private void resumeGuest() {
    enter(DestinationPhase.RUNNING, "poison map applied: " + arrival.poisonedFrames().size());
    early.forEach(this::writeRequest);
    early.clear();
    arrival.faultLoop().start((IoEventLoop) urgent.eventLoop());
    arrival.guest().resume();
    PageSet lost = arrival.poisonedFrames().copy();
    settings.announceEvery().ifPresent(interval -> arrival.guest().announce(lost, interval));
    pauseNanos = System.nanoTime() - startNanos;
    send(new ControlMessage.GuestResumed());
    if (arrival.resolver().unresolved() == 0) {
      run(this::handOver); // a guest whose every page is lost
    }
    onStreamEnds(0); // a small guest's streams may have ended before the urgent connection was up
  }

  private void onLatePoison(ControlMessage.LatePoison late) {
    if (arrival == null) {
      throw new ProtocolException("LatePoison before the poison map");
    }
    arrival.requireInLayout(late.entries());
    arrival.recorder().accept(late.entries(), this::onPoisonLearnt);
  }

  private void onPoisonLearnt(PageSet poisoned, PageSet held) {
    arrival.poisonedFrames().addAll(poisoned);
    listener.latePoison(poisoned, held);
    send(new ControlMessage.PoisonOutcome(poisoned, held));
  }

  private void onStreamEnds(int more) {
    streamsEnded += more;
    if (streamsEnded == settings.streams() && phase == DestinationPhase.RUNNING) {
      requestTheRest();
    }
  }

  /** What the stream left out is asked for, as if the guest had touched it. */
  private void requestTheRest() {
    for (long page = 0; page < arrival.table().pageCount(); page++) {
      if (arrival.table().get(page) == PageTable.State.MISSING) {
        arrival.faults().onFault(page, this::failed);
      }
    }
    urgent.flush();
  }

  private void handOver() throws IOException {
    if (phase != DestinationPhase.RUNNING) {
      return;
    }
    finding = arrival.audit().run();
    PageCounts counts = arrival.resolver().counts();
    if (!finding.agrees()) {
      fail(
          DestinationOutcome.Kind.VERIFICATION_FAILED,
          "%d pages are not as the page table says, among them %s"
              .formatted(finding.mismatchCount(), finding.mismatches()));
      return;
    }
    LedgerDigest digest = LedgerDigest.ofFrames(arrival.poisonedFrames());
    handedOver = digest.toString();
    enter(DestinationPhase.HANDING_OVER, "no page is missing");
    send(
        new ControlMessage.HandOver(
            counts.data() + counts.givenBack(),
            counts.zero(),
            counts.poisoned(),
            finding.markers(),
            digest));
  }

  private void onAccepted() {
    requireMessageIn(DestinationPhase.HANDING_OVER, "HandOverAccepted");
    totalNanos = System.nanoTime() - startNanos;
    enter(DestinationPhase.COMPLETE, "the source has let go");
    outcome.complete(
        new DestinationOutcome(
            DestinationOutcome.Kind.COMPLETE, "the guest is here; the source has let go"));
  }

  private void onRefusal(Refusal refusal) {
    DestinationOutcome.Kind kind =
        refusal.code() == Refusal.Code.HAND_OVER
            ? DestinationOutcome.Kind.VERIFICATION_FAILED
            : DestinationOutcome.Kind.PEER_REFUSED;
    fail(kind, "the source refused: " + refusal.reason());
  }

  private void send(ControlMessage message) {
    control.writeAndFlush(new ControlFrame(message));
  }

  private void requireMessageIn(DestinationPhase expected, String message) {
    if (phase != expected) {
      throw new ProtocolException(
          "%s in phase %s; it belongs to phase %s".formatted(message, phase, expected));
    }
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
            } catch (Throwable e) { // whatever it is, somebody waits for the outcome
              failed(e);
            }
          });
    } catch (RejectedExecutionException e) {
      log.debug("after the end: {}", step);
    }
  }

  /** Gives every kind of trouble its outcome. Callable from any thread. */
  private void failed(Throwable cause) {
    DestinationOutcome.Kind kind;
    if (cause instanceof ProtocolException) {
      kind = DestinationOutcome.Kind.PEER_REFUSED;
    } else if (cause instanceof LedgerException ledger
        && ledger.kind() != LedgerException.Kind.IO) {
      kind = DestinationOutcome.Kind.INPUT_REFUSED;
    } else if (cause instanceof IOException) {
      kind = DestinationOutcome.Kind.HOST_REFUSED;
    } else {
      log.error("a fault in Ward itself", cause);
      kind = DestinationOutcome.Kind.HOST_REFUSED;
    }
    run(() -> fail(kind, textOf(cause)));
  }

  private void fail(DestinationOutcome.Kind kind, String text) {
    if (phase.isLast()) {
      return;
    }
    boolean ran = phase.next().contains(DestinationPhase.UNFINISHED);
    if (ran) {
      pauseGuest();
      enter(DestinationPhase.UNFINISHED, text);
    } else {
      enter(DestinationPhase.ABORTED, text);
    }
    closeChannels();
    DestinationOutcome.Kind last =
        ran && kind == DestinationOutcome.Kind.ABORTED ? DestinationOutcome.Kind.UNFINISHED : kind;
    outcome.complete(new DestinationOutcome(last, text + whereTheGuestIs(ran)));
  }

  private void pauseGuest() {
    try {
      arrival.guest().pause();
    } catch (RuntimeException e) {
      log.error("the guest could not be paused; its missing pages keep it waiting", e);
    }
  }

  private String whereTheGuestIs(boolean ran) {
    return ran
        ? "; the guest is paused here, %d of its %d pages never arrived"
            .formatted(arrival.resolver().unresolved(), arrival.table().pageCount())
        : "; the guest did not run here, it is still at the source";
  }

  /** The one place where the phase changes. */
  private void enter(DestinationPhase next, String reason) {
    if (!phase.next().contains(next)) {
      throw new IllegalStateException("%s cannot follow %s (%s)".formatted(next, phase, reason));
    }
    DestinationPhase previous = phase;
    phase = next;
    listener.onPhase(previous, next, reason);
  }
}
