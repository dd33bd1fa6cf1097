package ward.destination;

import io.netty.channel.Channel;
import io.netty.util.NetUtil;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.SplittableRandom;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import ward.guest.Guest;
import ward.guest.GuestFactory;
import ward.guest.UnfitGuestException;
import ward.memory.MemoryIdentity;
import ward.memory.PageSet;
import ward.poison.Departure;
import ward.poison.LedgerDigest;
import ward.poison.LedgerException;
import ward.poison.LedgerJournal;
import ward.poison.LedgerQueue;
import ward.poison.MigrationFile;
import ward.poison.MigrationRecord;
import ward.poison.Origin;
import ward.poison.PoisonEntry;
import ward.thread.SessionThread;
import ward.uffd.MarkerScan;
import ward.uffd.Userfaultfd;
import ward.wire.ConnectionKind;
import ward.wire.ControlFrame;
import ward.wire.ControlMessage;
import ward.wire.ControlMessage.Hello;
import ward.wire.ControlMessage.Refusal;
import ward.wire.Frame;
import ward.wire.PageAnswer;
import ward.wire.Peer;
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
  private static final Duration LAST_WORDS_WITHIN = Duration.ofMillis(300);
  private static final Duration SETTLE = Duration.ofMillis(20);

  /**
   * Where the process ends that owns the memory, its system calls fail first. Its end says more,
   * and is heard within this time.
   */
  private static final Duration HOME_END = Duration.ofSeconds(5);

  /** Opens this host's ledger of a guest, once the source has named the guest. */
  @FunctionalInterface
  public interface LedgerOpener {
    LedgerJournal open(String guest) throws LedgerException;
  }

  /** What a session works with. The userfaultfd stays the caller's. */
  public record Parts(
      GuestFactory guests,
      LedgerOpener ledgers,
      Userfaultfd userfaultfd,
      MarkerScan scan,
      Optional<GuestHome> home) {

    /** For a guest that lives in this process, and dies with it. */
    public Parts(
        GuestFactory guests, LedgerOpener ledgers, Userfaultfd userfaultfd, MarkerScan scan) {
      this(guests, ledgers, userfaultfd, scan, Optional.empty());
    }
  }

  private volatile DestinationSettings settings; // the source may be elsewhere after a break
  private final Parts parts;
  private final DestinationListener listener;
  private final SourceLink link;
  private UUID session = UUID.randomUUID();
  private final SessionThread thread = new SessionThread("destination", this::failed);
  private final CompletableFuture<DestinationOutcome> outcome = new CompletableFuture<>();
  private final List<PoisonEntry> map = new ArrayList<>();
  private final RequestLine requests = new RequestLine();
  private final Backoff backoff = new Backoff(new SplittableRandom());

  private final Cancellations cancels = new Cancellations();

  private volatile DestinationPhase phase = DestinationPhase.CONNECTING;
  private volatile String sourceHost = "";
  private volatile Arrival arrival;
  private volatile Connections connections; // set by the session's thread only
  private MemoryIdentity memory; // what the guest was offered as; null before
  private DestinationPhase interrupted; // what a break interrupted, and recovery goes back to
  private long brokenNanos;
  private boolean isDisowned; // the source has said that it does not know this session
  private StageFile stages = StageFile.NONE;
  private LedgerJournal early; // opened before the source has named the guest; null if it was not
  private boolean mapEnded;
  private boolean mapApplied;
  private boolean released;
  private List<Departure> path = List.of(); // how the guest came here
  private boolean resumed;
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
    thread.run(this::begin);
    return outcome;
  }

  private void begin() throws IOException {
    if (parts.home().isPresent()) {
      beginAt(parts.home().get());
    } else {
      dial(1);
    }
  }

  /** Ends the migration as if the source had left; for an operator's SIGTERM. */
  public void abandon(String reason) {
    thread.run(() -> fail(DestinationOutcome.Kind.ABORTED, reason));
  }

  /** The guest, from the moment its shape is known; null before. */
  public Guest guest() {
    Arrival current = arrival;
    return current == null ? null : current.guest();
  }

  /**
   * Makes every page of a guest that is {@link DestinationPhase#COMPLETE} and paused readable or
   * poisoned: what it gave back would otherwise make its reader wait, perhaps for itself. Returns
   * when that is so; not for an event loop to call.
   *
   * @throws IOException if the kernel refuses, or the session has ended
   */
  public void fillGivenBack() throws IOException {
    CompletableFuture<Void> done = thread.answer(this::fillGivenBack);
    try {
      done.get(CLOSE_SECONDS, TimeUnit.SECONDS);
    } catch (ExecutionException | TimeoutException e) {
      throw new IOException("what the guest gave back could not be filled: " + e.getMessage(), e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IOException("interrupted", e);
    }
  }

  private void fillGivenBack(CompletableFuture<Void> done) throws IOException {
    arrival.fillGivenBack();
    done.complete(null);
  }

  public DestinationPhase phase() {
    return phase;
  }

  /** The same over all connections of this migration. */
  public UUID session() {
    return session;
  }

  /** How often connections were begun, from 1; 0 before the start. */
  public int attempt() {
    Connections present = connections;
    return present == null ? 0 : present.attempt();
  }

  /** Whether an operator wants the guest to stay at the source. */
  public boolean isCancelling() {
    return cancels.isWanted();
  }

  /** Where the source is dialled, and what it called itself. */
  public Peer peer() {
    return new Peer(sourceHost, NetUtil.toSocketAddressString(settings.source()));
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
    thread.run(() -> fail(DestinationOutcome.Kind.ABORTED, "the session was closed"));
    thread.close();
    link.close();
    Arrival current = arrival;
    if (current != null) {
      current.end();
      closeJournal(current.journal());
    } else if (early != null) {
      closeJournal(early);
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

  private void dial(int attempt) throws LedgerException {
    stages.attempt(attempt);
    connections = new Connections(attempt, link.attempt(settings, session, attempt));
    connect(ConnectionKind.CONTROL);
  }

  private void connect(ConnectionKind kind) {
    connections.link().connect(kind, new LinkEvents(connections, kind));
  }

  private void connectForPages() {
    connect(ConnectionKind.URGENT);
    for (int i = 0; i < settings.streams(); i++) {
      connect(ConnectionKind.STREAM);
    }
  }

  /** What one connection reports; called on its event loop. */
  private final class LinkEvents implements SourceLink.Events {

    private final Connections of;
    private final ConnectionKind kind;
    private boolean ended; // confined to the connection's event loop

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
      thread.run(() -> onReady(of, kind, channel));
    }

    @Override
    public void frame(Channel channel, Frame frame) throws IOException {
      if (of.isOver()) {
        return;
      }
      if (ended) {
        throw new ProtocolException(
            "%s after StreamEnd; nothing follows it".formatted(frame.getClass().getSimpleName()));
      }
      if (frame instanceof ControlFrame message && kind == ConnectionKind.CONTROL) {
        thread.run(() -> onMessage(of, message.message()));
      } else {
        ended = frame instanceof StreamEnd;
        onPageFrame(of, kind, frame);
      }
    }

    @Override
    public void lost(Throwable cause) {
      onLinkLost(of, kind, cause);
    }
  }

  private void onReady(Connections of, ConnectionKind kind, Channel channel) throws IOException {
    if (phase.isLast() || of.isOver()) {
      channel.close();
      return;
    }
    switch (kind) {
      case CONTROL -> connections.control(channel); // after a break, the source speaks first
      case URGENT -> onUrgent(channel);
      case STREAM -> of.addStream(channel);
      case LOCAL -> throw new IllegalStateException("a migration has no LOCAL connection");
    }
    resumeIfReady();
  }

  private void onUrgent(Channel channel) {
    connections.urgent(channel);
    if (resumed) {
      openLine();
    }
  }

  /** On the event loop of the urgent connection, as everything else about requests is. */
  private void openLine() {
    Channel urgent = connections.urgent();
    int attempt = connections.attempt();
    urgent
        .eventLoop()
        .execute(
            () -> {
              requests.open(urgent, attempt);
              arrival.faults().askAll();
              requests.flush();
            });
  }

  private void resumeIfReady() throws IOException {
    if (released
        && !resumed
        && connections.urgent() != null
        && connections.streams() == settings.streams()) {
      resumeGuest();
    }
  }

  private void onPageFrame(Connections of, ConnectionKind kind, Frame frame) throws IOException {
    Arrival current = arrival;
    if (current == null || kind == ConnectionKind.CONTROL) {
      throw new ProtocolException(
          "%s on the %s connection in phase %s"
              .formatted(frame.getClass().getSimpleName(), kind, phase));
    }
    if (frame instanceof StreamEnd && kind == ConnectionKind.STREAM) {
      thread.run(() -> onStreamEnd(of));
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
    requests.later(() -> arrival.faults().askAgain(requestId), delayMillis);
  }

  private void onLinkLost(Connections of, ConnectionKind kind, Throwable cause) {
    if (cause instanceof ResolveException) {
      failed(cause);
      return;
    }
    thread.run(
        () -> {
          if (of.isOver() || phase.isLast()) {
            return;
          }
          if (phase == DestinationPhase.HANDING_OVER && kind != ConnectionKind.CONTROL) {
            return; // every page is here; a source that lets go closes these, in any order
          }
          String what = cause == null ? "the source closed it" : textOf(cause);
          String text = "%s connection: %s".formatted(kind, what);
          if (kind == ConnectionKind.CONTROL || resumed) {
            onBreak(kind, text, cause);
          } else {
            breakUnlessExplained(of, kind, text, cause);
          }
        });
  }

  /**
   * A source that ends says so on another connection, which may arrive a little later. Once the
   * guest runs here, time matters more to it than the text.
   */
  private void breakUnlessExplained(
      Connections of, ConnectionKind kind, String text, Throwable cause) {
    thread.later(
        () -> {
          if (!of.isOver() && !phase.isLast()) {
            onBreak(kind, text, cause);
          }
        },
        LAST_WORDS_WITHIN);
  }

  private void onBreak(ConnectionKind kind, String text, Throwable cause) throws IOException {
    if (cause instanceof PeerRefusedException refused) {
      onRefused(kind, text, refused.refusal().code());
    } else if (cause instanceof ProtocolException && !isStrangerAnswering()) {
      fail(DestinationOutcome.Kind.PEER_REFUSED, text);
    } else {
      recoverIfPossible(text);
    }
  }

  private void recoverIfPossible(String text) {
    if (mapApplied && !settings.sourceLoss().isAtOnce()) {
      recover(text);
    } else {
      fail(DestinationOutcome.Kind.ABORTED, text);
    }
  }

  /** Whether nobody has proven yet, since the break, that it serves the guest. */
  private boolean isStrangerAnswering() {
    return phase == DestinationPhase.RECOVERING && !connections.isProven();
  }

  /**
   * A source that has not noticed the break, that has noticed it first, or that was started anew,
   * may take us later; and while nobody has proven to be the source, any refusal may be somebody
   * else's.
   */
  private void onRefused(ConnectionKind kind, String text, Refusal.Code code) throws IOException {
    boolean unknown = code == Refusal.Code.NO_SESSION;
    boolean recovering = phase == DestinationPhase.RECOVERING;
    if (recovering && kind == ConnectionKind.CONTROL && unknown && !isSourceNeeded()) {
      isDisowned = true;
      onSourceLost(text); // it has taken its guest back, or it has let go and ended
    } else if (unknown || isStrangerAnswering()) {
      recoverIfPossible(text);
    } else {
      fail(DestinationOutcome.Kind.PEER_REFUSED, text);
    }
  }

  private static String textOf(Throwable cause) {
    return cause.getMessage() == null ? cause.toString() : cause.getMessage();
  }

  // --- messages, on the session's thread -----------------------------------------------------

  private void onMessage(Connections of, ControlMessage message) throws IOException {
    if (of.isOver()) {
      return;
    }
    if (isStrangerAnswering()) {
      onStranger(message);
    } else {
      dispatch(message);
    }
  }

  /**
   * Whoever answers after a break may be another process than the one that made the offer. Nothing
   * that it says counts before it has proven whose memory it serves, and what it says cannot end
   * the migration: the right one may come yet.
   */
  private void onStranger(ControlMessage message) {
    if (message instanceof ControlMessage.SourceIdentity identity) {
      onIdentity(identity);
    } else {
      String text =
          message instanceof Refusal refusal
              ? "refused: " + refusal.reason()
              : "%s before SourceIdentity".formatted(message.getClass().getSimpleName());
      recover(text);
    }
  }

  private void onIdentity(ControlMessage.SourceIdentity identity) {
    Optional<String> contradiction = memory.contradiction(identity.memory());
    if (contradiction.isPresent()) {
      String text = "this source does not serve the guest that was offered: " + contradiction.get();
      send(new Refusal(Refusal.Code.OTHER_GUEST, text));
      recover(text);
    } else {
      connections.prove();
      if (cancels.isWanted()) {
        cancelNow(); // only the right source may take its guest back by this word
      } else {
        sendResolved();
      }
    }
  }

  private void dispatch(ControlMessage message) throws IOException {
    if (message instanceof ControlMessage.GuestOffer offer) {
      onOffer(offer);
    } else if (message instanceof ControlMessage.PoisonMapPart part) {
      onMapPart(part);
    } else if (message instanceof ControlMessage.PoisonGivenUp before) {
      onGivenUpBefore(before);
    } else if (message instanceof ControlMessage.PoisonMapEnd end) {
      onMapEnd(end);
    } else if (message instanceof ControlMessage.GuestReleased word) {
      onReleased(word);
    } else if (message instanceof ControlMessage.LatePoison late) {
      onLatePoison(late);
    } else if (message instanceof ControlMessage.PoisonMapCheck) {
      onMapCheck();
    } else if (message instanceof ControlMessage.RecoveryAccepted) {
      onRecovered();
    } else if (message instanceof ControlMessage.HandOverAccepted) {
      onAccepted();
    } else if (message instanceof ControlMessage.CancelRequest request) {
      onCancelRequest(request);
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
    LedgerJournal journal = early == null ? open(offer.layout().guest()) : early;
    try {
      arrival = arrival(offer, journal);
    } catch (IOException e) {
      if (journal != early) {
        closeJournal(journal);
      }
      throw e;
    }
    memory = offer.memory();
    enter(DestinationPhase.RECEIVING_MAP, offer.layout().pageCount() + " pages announced");
  }

  private Arrival arrival(ControlMessage.GuestOffer offer, LedgerJournal journal)
      throws IOException {
    Guest guest = parts.guests().create(offer.layout(), offer.vcpuStates());
    try {
      return arrival(guest, journal);
    } catch (IOException | RuntimeException e) {
      guest.close();
      throw e;
    }
  }

  private Arrival arrival(Guest guest, LedgerJournal journal) throws IOException {
    Arrival.Surroundings around =
        new Arrival.Surroundings(
            writes(),
            settings.onRemove(),
            requests,
            () -> thread.run(this::handOver),
            this::failed,
            listener);
    return new Arrival(guest, journal, parts.userfaultfd(), parts.scan(), around);
  }

  private LedgerJournal open(String guest) throws IOException {
    LedgerJournal journal = parts.ledgers().open(guest);
    for (String warning : journal.warnings()) {
      log.warn("{}", warning);
    }
    return journal;
  }

  private LedgerQueue writes() {
    return new LedgerQueue(
        (task, millis) -> thread.later(task::run, Duration.ofMillis(millis)),
        this::ledgerPatience,
        this::failed);
  }

  /** Before the source is told that its map is in place, the guest is better off there. */
  private Duration ledgerPatience() {
    return mapApplied ? settings.ledgerPatience() : Duration.ZERO;
  }

  private void onMapPart(ControlMessage.PoisonMapPart part) {
    requireMapOpen("PoisonMapPart");
    arrival.requireInLayout(part.entries());
    map.addAll(part.entries());
  }

  /** What a host before this one knew as lost, perhaps this one itself when the guest was here. */
  private void onGivenUpBefore(ControlMessage.PoisonGivenUp before) {
    requireMapOpen("PoisonGivenUp");
    arrival.requireInLayout(before.frames());
    arrival.recorder().afterwards(() -> arrival.journal().appendGivenUp(before.frames()));
  }

  private void onMapEnd(ControlMessage.PoisonMapEnd end) {
    requireMapOpen("PoisonMapEnd");
    mapEnded = true;
    arrival
        .recorder()
        .acceptMap(
            List.copyOf(map),
            (poisoned, held) -> {
              arrival.poisonedFrames().addAll(poisoned);
              thread.tryTo(() -> onMapApplied(end));
            });
    map.clear();
  }

  private void requireMapOpen(String message) {
    requireMessageIn(DestinationPhase.RECEIVING_MAP, message);
    if (mapEnded) {
      throw new ProtocolException(message + " after PoisonMapEnd; a map has one end");
    }
  }

  private void onMapApplied(ControlMessage.PoisonMapEnd end) throws IOException {
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
    stages.mapApplied(memory, session, connections.attempt());
    mapApplied = true;
    send(new ControlMessage.PoisonMapApplied(ledger.size(), digest));
    connectForPages();
  }

  private void onReleased(ControlMessage.GuestReleased word) throws IOException {
    requireMessageIn(DestinationPhase.RECEIVING_MAP, "GuestReleased");
    if (!mapApplied || released) {
      throw new ProtocolException(
          "GuestReleased %s; it answers PoisonMapApplied, once"
              .formatted(released ? "again" : "before the poison map was applied"));
    }
    released = true;
    path = word.path();
    resumeIfReady();
  }

  /** The whole map is in place and acknowledged, and the source has let go of the vCPUs. */
  private void resumeGuest() throws IOException {
    arrival.journal().appendDepartures(path);
    stages.resumed();
    enter(DestinationPhase.RUNNING, "poison map applied: " + arrival.poisonedFrames().size());
    resumed = true;
    openLine();
    arrival.faultLoop().start(link.faultEvents());
    arrival.guest().resume();
    PageSet lost = arrival.poisonedFrames().copy();
    settings.announceEvery().ifPresent(interval -> arrival.guest().announce(lost, interval));
    pauseNanos = System.nanoTime() - startNanos;
    send(new ControlMessage.GuestResumed());
    goOn(); // a guest whose every page is lost; one so small that its streams have ended
  }

  /** What came about while the phase was another one. */
  private void goOn() {
    if (arrival.resolver().unresolved() == 0) {
      thread.run(this::handOver);
    }
    requestTheRestAfterStreams();
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

  private void onStreamEnd(Connections of) {
    of.streamEnded();
    requestTheRestAfterStreams();
  }

  private void requestTheRestAfterStreams() {
    if (connections.streamsEnded() == settings.streams() && phase == DestinationPhase.RUNNING) {
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
    requests.flush();
  }

  private void handOver() throws IOException {
    if (phase != DestinationPhase.RUNNING) {
      return;
    }
    finding = arrival.audit().run();
    if (finding.mismatchCount() > 0) {
      fail(
          DestinationOutcome.Kind.VERIFICATION_FAILED,
          "%d pages are not as the page table says, among them %s"
              .formatted(finding.mismatchCount(), finding.mismatches()));
      return;
    }
    if (!finding.agrees()) {
      thread.later(this::handOver, SETTLE); // the guest is giving lost pages back just now
      return;
    }
    handOver(arrival.givenUpFrames(finding.givenUp()));
  }

  /**
   * @param givenUp frames that the source lost; they have content now
   */
  private void handOver(PageSet givenUp) {
    PageCounts counts = arrival.resolver().counts();
    LedgerDigest digest = LedgerDigest.ofFrames(tellGivenUp(givenUp));
    handedOver = digest.toString();
    enter(DestinationPhase.HANDING_OVER, "no page is missing");
    send(
        new ControlMessage.HandOver(
            counts.data() + counts.givenBack() + givenUp.size(),
            counts.zero(),
            counts.poisoned() - givenUp.size(),
            finding.markers(),
            digest));
  }

  /** Tells the source what the guest has given up; answers what is lost without that. */
  private PageSet tellGivenUp(PageSet givenUp) {
    ControlMessage.PoisonGivenUp.inParts(givenUp).forEach(this::send);
    PageSet lost = arrival.poisonedFrames().copy();
    lost.removeAll(givenUp);
    return lost;
  }

  private PageSet tellGivenUpSoFar() {
    return tellGivenUp(arrival.givenUpFrames(arrival.givenUp().copy()));
  }

  private void onAccepted() throws IOException {
    requireMessageIn(DestinationPhase.HANDING_OVER, "HandOverAccepted");
    send(new ControlMessage.HandOverConfirmed());
    complete(DestinationOutcome.Kind.COMPLETE, "the guest is here; the source has let go");
  }

  private void onRefusal(Refusal refusal) {
    DestinationOutcome.Kind kind =
        refusal.code() == Refusal.Code.HAND_OVER
            ? DestinationOutcome.Kind.VERIFICATION_FAILED
            : DestinationOutcome.Kind.PEER_REFUSED;
    fail(kind, "the source refused: " + refusal.reason());
  }

  /** What cannot be said because of a break is part of what recovery says. */
  private void send(ControlMessage message) {
    Channel control = connections == null ? null : connections.control();
    if (control != null) {
      control.writeAndFlush(new ControlFrame(message));
    }
  }

  private void hangUp() {
    if (connections != null) {
      connections.end();
    }
  }

  private void requireMessageIn(DestinationPhase expected, String message) {
    if (phase != expected) {
      throw new ProtocolException(
          "%s in phase %s; it belongs to phase %s".formatted(message, phase, expected));
    }
  }

  // --- a home that outlives this process -------------------------------------------------------

  private void beginAt(GuestHome home) {
    try {
      early = open(home.guest().memory().layout().guest());
      stages = new StageFile(early.migrationFile(), home.identity(), settings.source().toString());
      Optional<MigrationRecord> left = stages.inherited(home.hasRun());
      if (left.isPresent()) {
        takeOver(home, left.get());
      } else {
        requireEmpty(home);
        dial(1);
      }
    } catch (IOException | RuntimeException e) {
      leaveAsItIs(e);
    }
  }

  private void requireEmpty(GuestHome home) throws IOException {
    InheritedPages.of(home.guest().memory(), parts.scan(), early.ledger(), home.givenBack(), false);
  }

  /** Whatever was found, the next process finds it again. */
  private void leaveAsItIs(Exception cause) {
    enter(DestinationPhase.ABORTED, textOf(cause));
    outcome.complete(
        new DestinationOutcome(
            kindOf(cause), textOf(cause) + "; the memory and its guest are left as they are"));
  }

  /**
   * A process before this one has died, or has left, in the middle of its session. What it had got
   * done is seen from the guest's memory and the ledger; the source tells the rest, as after a
   * break.
   */
  private void takeOver(GuestHome home, MigrationRecord left) throws IOException {
    Arrival inherited = arrival(home.guest(), early);
    String found = inherited.inherit(parts.scan(), home.givenBack());
    arrival = inherited;
    session = left.session();
    memory =
        left.memory()
            .orElseThrow(
                () -> new InheritanceException("the record says nothing of the memory: " + left));
    mapApplied = true;
    resumed = left.stage() != MigrationRecord.Stage.MAP_APPLIED;
    released = resumed;
    interrupted = DestinationPhase.RECEIVING_MAP;
    brokenNanos = System.nanoTime();
    enter(
        DestinationPhase.RECOVERING,
        "took over session %s, left in stage %s: %s".formatted(session, left.stage(), found));
    thread.run(() -> goOnFrom(left));
  }

  private void goOnFrom(MigrationRecord left) throws IOException {
    if (resumed) {
      arrival.faultLoop().start(link.faultEvents());
      arrival.wakeEverybody();
      arrival.guest().resume(); // it may have been paused, or its process not have heard of it
    }
    if (left.stage() == MigrationRecord.Stage.COMPLETE) {
      complete(DestinationOutcome.Kind.COMPLETE, "the guest is here, whole, as it was before");
    } else if (stages.isSourceLost()) {
      poisonTheRest("the source is lost, as a process before this one has found");
    } else {
      long since = brokenNanos;
      thread.later(() -> giveUpIfLost(since), settings.sourceLoss().after());
      dialIfStillBroken(left.attempt() + 1);
    }
  }

  // --- recovery ------------------------------------------------------------------------------

  /** All connections go; the guest runs on as far as its pages reach. */
  private void recover(String text) {
    if (phase == DestinationPhase.RECOVERING) {
      listener.trouble("the source cannot be reached: " + text);
    } else {
      interrupted = phase;
      brokenNanos = System.nanoTime();
      enter(DestinationPhase.RECOVERING, text);
      long since = brokenNanos;
      thread.later(() -> giveUpIfLost(since), settings.sourceLoss().after());
    }
    requests.close();
    Connections ended = connections;
    ended.end().thenRun(() -> thread.run(() -> dialAgain(ended)));
  }

  /** Also a source that takes connections and says nothing is lost when its time is over. */
  private void giveUpIfLost(long since) throws IOException {
    if (phase == DestinationPhase.RECOVERING && brokenNanos == since && isSourceLost()) {
      hangUp();
      onSourceLost();
    }
  }

  private boolean isSourceLost() {
    return settings.sourceLoss().isReached(System.nanoTime() - brokenNanos, isSourceNeeded());
  }

  private void dialAgain(Connections ended) throws IOException {
    if (phase != DestinationPhase.RECOVERING || connections != ended) {
      return;
    }
    if (isSourceLost()) {
      onSourceLost();
    } else {
      int next = connections.attempt() + 1;
      thread.later(() -> dialIfStillBroken(next), Duration.ofMillis(backoff.nextMillis()));
    }
  }

  private void dialIfStillBroken(int attempt) {
    Connections latest = connections;
    if (phase != DestinationPhase.RECOVERING || latest != null && latest.attempt() >= attempt) {
      return;
    }
    try {
      dial(attempt);
    } catch (LedgerException e) { // the guest need not stop for it
      log.warn("the next attempt waits for the disk: {}", e.getMessage());
      thread.later(() -> dialIfStillBroken(attempt), Duration.ofMillis(backoff.nextMillis()));
    }
  }

  /** Every event loop has let go of the connections before, so this is all that came by them. */
  private void sendResolved() {
    PageSet poisoned = tellGivenUpSoFar();
    ResolvedPages resolved = ResolvedPages.of(arrival.layout(), arrival.table(), poisoned);
    resolved.parts().forEach(this::send);
    send(
        new ControlMessage.RecoveryEnd(
            resolved.presentPages(), poisoned.size(), released, resumed));
  }

  /** The losses that came before it are dealt with first, however long the disk takes. */
  private void onMapCheck() {
    requireMessageIn(DestinationPhase.RECOVERING, "PoisonMapCheck");
    Connections of = connections;
    arrival.recorder().afterwards(() -> answerMapCheck(of));
  }

  private void answerMapCheck(Connections of) {
    if (!of.isOver()) {
      PageSet poisoned = tellGivenUpSoFar();
      send(new ControlMessage.PoisonMapApplied(poisoned.size(), LedgerDigest.ofFrames(poisoned)));
    }
  }

  private void onRecovered() {
    requireMessageIn(DestinationPhase.RECOVERING, "RecoveryAccepted");
    long nanos = System.nanoTime() - brokenNanos;
    backoff.reset();
    // What was handed over is handed over again: the source may not have heard it.
    enter(
        resumed ? DestinationPhase.RUNNING : interrupted,
        "reconnected after %d ms".formatted(TimeUnit.NANOSECONDS.toMillis(nanos)));
    listener.recovered(nanos);
    connectForPages();
    if (resumed) {
      goOn();
    }
  }

  /** Whether the guest has run here, and has pages there and nowhere else. */
  private boolean isSourceNeeded() {
    return resumed && arrival.resolver().unresolved() > 0;
  }

  private void onSourceLost() throws IOException {
    long seconds = TimeUnit.NANOSECONDS.toSeconds(System.nanoTime() - brokenNanos);
    onSourceLost("the source could not be reached for %d s".formatted(seconds));
  }

  private void onSourceLost(String text) throws IOException {
    if (resumed && arrival.resolver().unresolved() == 0) {
      complete(
          DestinationOutcome.Kind.COMPLETE,
          text
              + "; every page is here, the guest runs on. The source has not said that it lets go");
    } else if (resumed && settings.sourceLoss().policy() == SourceLoss.Policy.POISON) {
      poisonTheRest(text);
    } else {
      fail(DestinationOutcome.Kind.ABORTED, text);
    }
  }

  /**
   * What never arrived is lost: the guest loses what touches those pages, instead of everything.
   */
  private void poisonTheRest(String text) throws IOException {
    stages.sourceLost();
    UnarrivedPages unarrived = UnarrivedPages.of(arrival.layout(), arrival.table());
    Origin origin = new Origin(settings.host(), Instant.now(), Origin.Discovery.SOURCE_LOST);
    arrival
        .recorder()
        .accept(
            unarrived.entries(origin),
            (poisoned, held) -> {
              arrival.poisonedFrames().addAll(poisoned);
              listener.latePoison(poisoned, held);
              if (!phase.isLast()) { // given up while the ledger was being written
                String lost =
                    "%s: %d of the guest's %d pages had not arrived and are poison now; it runs on here"
                        .formatted(text, poisoned.size(), arrival.table().pageCount());
                thread.tryTo(() -> complete(DestinationOutcome.Kind.SOURCE_LOST, lost));
              }
            });
  }

  private void complete(DestinationOutcome.Kind kind, String text) {
    noteCompletion();
    totalNanos = System.nanoTime() - startNanos;
    forgetThatItLeft();
    enter(DestinationPhase.COMPLETE, text);
    outcome.complete(new DestinationOutcome(kind, text));
  }

  /** A process that follows and finds no word of it asks the source once more. */
  private void noteCompletion() {
    try {
      stages.complete();
    } catch (LedgerException e) {
      log.warn("the migration's record says less than is true: {}", e.getMessage());
    }
  }

  /** A guest that left this host earlier is back: the record that its copy here is stale, is. */
  private void forgetThatItLeft() {
    try {
      MigrationFile file = arrival.journal().migrationFile();
      if (file.read().filter(record -> record.role() == MigrationRecord.Role.SOURCE).isPresent()) {
        file.remove();
      }
    } catch (LedgerException e) {
      log.warn(
          "`ward source` will refuse this ledger until it gets --new-session: {}", e.getMessage());
    }
  }

  // --- what an operator wants ----------------------------------------------------------------

  /**
   * Gives the migration up, unless the guest has run here. While the source is out of reach it is
   * dialled until it has heard that the guest never will.
   *
   * @return what came of it; fails with an IOException that says where the guest is and what is
   *     possible instead
   */
  public CompletionStage<String> cancel(String reason) {
    return thread.answer(answer -> takeCancel(reason, answer));
  }

  private void takeCancel(String reason, CompletableFuture<String> answer) throws IOException {
    requireCancellable();
    cancels.add(reason, answer);
    if (phase == DestinationPhase.RECOVERING && (connections.isOver() || !connections.isProven())) {
      thread.later(() -> cancels.stillUnheard(answer), Cancellations.PATIENCE);
      dialNow();
    } else {
      cancelNow();
    }
  }

  private void requireCancellable() throws IOException {
    if (phase.isLast()) {
      throw new IOException("this migration has ended already, in phase " + phase);
    }
    if (resumed) {
      throw new IOException(
          "the guest has run here, %d of its %d pages are at the source only: it cannot go back. Let the migration end, and move the guest back by another one"
              .formatted(arrival.resolver().unresolved(), arrival.table().pageCount()));
    }
  }

  private void cancelNow() {
    fail(DestinationOutcome.Kind.ABORTED, cancels.text());
  }

  private void onCancelRequest(ControlMessage.CancelRequest request) {
    try {
      requireCancellable();
    } catch (IOException refused) {
      send(new ControlMessage.CancelRefused(refused.getMessage()));
      return;
    }
    cancels.add(request.reason() + ", at the source", new CompletableFuture<>());
    cancelNow();
  }

  /**
   * Dials the source now instead of later, and gives up the connections that there are.
   *
   * @param address where it is from now on; empty for where it was
   * @return what is being done; fails with an IOException in a phase that has nothing to recover
   */
  public CompletionStage<String> reconnect(Optional<InetSocketAddress> address) {
    return thread.answer(answer -> answer.complete(takeReconnect(address)));
  }

  private String takeReconnect(Optional<InetSocketAddress> address) throws IOException {
    requireReconnectable();
    address.ifPresent(elsewhere -> settings = settings.withSource(elsewhere));
    if (phase == DestinationPhase.RUNNING) {
      recover("an operator gives the connections up");
    }
    backoff.reset();
    dialNow();
    return "dialling %s, session %s, attempt %d"
        .formatted(peer().address(), session, connections.attempt() + 1);
  }

  private void requireReconnectable() throws IOException {
    if (phase != DestinationPhase.RECOVERING && phase != DestinationPhase.RUNNING) {
      throw new IOException(
          "nothing to recover in phase %s; it is possible in phases %s and %s"
              .formatted(phase, DestinationPhase.RECOVERING, DestinationPhase.RUNNING));
    }
    if (phase == DestinationPhase.RUNNING && settings.sourceLoss().isReached(0, isSourceNeeded())) {
      throw new IOException(
          "with --source-loss-after 0 the first broken connection is the loss of the source, also if an operator breaks it");
    }
  }

  private void dialNow() {
    Connections old = connections;
    old.end()
        .thenRun(
            () ->
                thread.run(
                    () -> {
                      if (connections == old) {
                        dialIfStillBroken(old.attempt() + 1);
                      }
                    }));
  }

  // --- phases ------------------------------------------------------------------------------

  /** Gives every kind of trouble its outcome. Callable from any thread. */
  private void failed(Throwable cause) {
    DestinationOutcome.Kind kind = kindOf(cause);
    boolean mayBeItsEnd = parts.home().isPresent() && kind == DestinationOutcome.Kind.HOST_REFUSED;
    thread.later(() -> fail(kind, textOf(cause)), mayBeItsEnd ? HOME_END : Duration.ZERO);
  }

  private static DestinationOutcome.Kind kindOf(Throwable cause) {
    if (cause instanceof ProtocolException) {
      return DestinationOutcome.Kind.PEER_REFUSED;
    }
    boolean input =
        cause instanceof UnfitGuestException
            || cause instanceof InheritanceException
            || cause instanceof LedgerException ledger && ledger.kind() != LedgerException.Kind.IO;
    if (input) {
      return DestinationOutcome.Kind.INPUT_REFUSED;
    }
    if (!(cause instanceof IOException)) {
      log.error("a fault in Ward itself", cause);
    }
    return DestinationOutcome.Kind.HOST_REFUSED;
  }

  private void fail(DestinationOutcome.Kind kind, String text) {
    if (phase.isLast()) {
      return;
    }
    noteAbort();
    if (resumed) {
      pauseGuest();
      enter(DestinationPhase.UNFINISHED, text);
    } else {
      send(new ControlMessage.Farewell(text, true));
      enter(DestinationPhase.ABORTED, text);
    }
    hangUp();
    DestinationOutcome.Kind last =
        resumed && kind == DestinationOutcome.Kind.ABORTED
            ? DestinationOutcome.Kind.UNFINISHED
            : kind;
    cancels.end(text + whereTheGuestIs(resumed));
    outcome.complete(new DestinationOutcome(last, text + whereTheGuestIs(resumed)));
  }

  /**
   * Only if the source hears of it, or knows nothing of this session: otherwise it waits for this
   * session to return.
   */
  private void noteAbort() {
    boolean hears = connections != null && connections.control() != null;
    try {
      if (!resumed && (hears || isDisowned)) {
        stages.aborted();
      }
    } catch (LedgerException e) {
      log.warn("the migration's record stays: {}", e.getMessage());
    }
  }

  private boolean hasGuestEnded() {
    return arrival.guest().exited().toCompletableFuture().isDone();
  }

  private void pauseGuest() {
    if (hasGuestEnded()) {
      return;
    }
    try {
      arrival.guest().pause();
    } catch (RuntimeException e) {
      log.error("the guest could not be paused; its missing pages keep it waiting", e);
    }
  }

  private String whereTheGuestIs(boolean ran) {
    return ran
        ? "; the guest %s here, %d of its %d pages never arrived"
            .formatted(
                hasGuestEnded() ? "has ended" : "is paused",
                arrival.resolver().unresolved(),
                arrival.table().pageCount())
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
