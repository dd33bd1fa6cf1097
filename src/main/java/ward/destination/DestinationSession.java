package ward.destination;

import java.io.IOException;
import java.net.InetSocketAddress;
import java.time.Duration;
import java.util.Optional;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.function.BooleanSupplier;
import ward.guest.Guest;
import ward.guest.GuestFactory;
import ward.memory.PageSet;
import ward.memory.TableRoom;
import ward.poison.LedgerException;
import ward.poison.LedgerJournal;
import ward.poison.LedgerQueue;
import ward.thread.SessionThread;
import ward.uffd.MarkerScan;
import ward.uffd.Userfaultfd;
import ward.wire.ConnectionKind;
import ward.wire.ControlMessage;
import ward.wire.ControlMessage.Refusal;
import ward.wire.Peer;
import ward.wire.ProtocolException;

/**
 * One incoming migration.
 *
 * <p>Confined to a thread of its own, which may wait for the disk and for vCPUs; the connections'
 * threads only translate and resolve pages. {@link DestinationPhase} says what is true when. Here
 * is what leads from one phase to the next as long as all goes well; what a part of the way needs
 * is with that part: {@link IncomingMap} before the guest runs, {@link HandOver} when all of it is
 * here, {@link Recovery} and {@link Exchange} over a break, {@link TakeOver} after the death of a
 * process.
 */
public final class DestinationSession implements AutoCloseable {

  private static final int FILL_SECONDS = 30;
  private static final Duration REST_PAUSE = Duration.ofMillis(10);

  /** Opens this host's ledger of a guest, once the source has named the guest. */
  @FunctionalInterface
  public interface LedgerOpener {
    LedgerJournal open(String guest) throws LedgerException;
  }

  /**
   * What a session works with. The userfaultfd stays the caller's.
   *
   * @param home empty for a guest that lives in this process, and dies with it
   * @param room asked as soon as the guest's size is known
   */
  public record Parts(
      GuestFactory guests,
      LedgerOpener ledgers,
      Userfaultfd userfaultfd,
      MarkerScan scan,
      Optional<GuestHome> home,
      TableRoom room) {}

  private final DestinationSettings settings;
  private final Parts parts;
  private final DestinationListener listener;
  private final SourceLink link;
  private final SessionThread thread = new SessionThread("destination", this::failed);
  private final Course course;
  private final HostLedger ledger;
  private final StageFile stages = new StageFile();
  private final Cancellations cancels = new Cancellations();
  private final SourceContact contact;
  private final Ending ending;
  private final Widening widening;
  private final LossAccount losses;
  private final HandOver handOver;
  private final IncomingMap map;
  private final LostSource lostSource;
  private final Recovery recovery;
  private final Exchange exchange;
  private final Orders orders;
  private final LeftOutPages leftOut = new LeftOutPages();

  public DestinationSession(
      DestinationSettings settings, Parts parts, SourceLink link, DestinationListener listener) {
    this.settings = settings;
    this.parts = parts;
    this.link = link;
    this.listener = listener;
    SourceLoss policy = settings.sourceLoss();
    course = new Course(listener);
    ledger = new HostLedger(parts.ledgers());
    contact = new SourceContact(settings, link, course, thread, listener, new Heard());
    ending = new Ending(course, contact, stages, cancels, thread, parts.home().isPresent());
    widening = new Widening(settings, course, contact, listener);
    losses = new LossAccount(course, contact, listener, widening);
    handOver = new HandOver(course, contact, losses, widening, ending, thread);
    map =
        new IncomingMap(
            settings.hugeLoss(),
            parts.room(),
            course,
            contact,
            ending,
            ledger,
            stages,
            parts.guests(),
            this::arrival,
            thread);
    lostSource = new LostSource(settings, course, losses, ending, stages, thread);
    recovery =
        new Recovery(
            policy, course, contact, ending, lostSource, stages, thread, listener, map::isApplied);
    exchange = new Exchange(course, contact, map, losses, recovery, cancels, ending);
    orders = new Orders(policy, course, contact, recovery, cancels, ending, thread);
  }

  // --- from outside, on any thread -------------------------------------------------------------

  /** Connects to the source and goes on from there by itself. */
  public CompletionStage<DestinationOutcome> start() {
    course.start();
    thread.run(this::begin);
    return ending.outcome();
  }

  /** Ends the migration as if the source had left; for an operator's SIGTERM. */
  public void abandon(String reason) {
    thread.run(() -> ending.fail(DestinationOutcome.Kind.ABORTED, reason));
  }

  /** The guest, from the moment its shape is known; null before. */
  public Guest guest() {
    Arrival current = course.arrival();
    return current == null ? null : current.guest();
  }

  /**
   * Makes every page of a guest that is {@link DestinationPhase#COMPLETE} and paused readable or
   * poisoned: what it gave back would otherwise make its reader wait, perhaps for itself. Returns
   * when that is so; not for a connection's thread to call.
   *
   * @throws IOException if the kernel refuses, or the session has ended
   */
  public void fillGivenBack() throws IOException {
    CompletableFuture<Void> done = thread.answer(this::fillGivenBack);
    try {
      done.get(FILL_SECONDS, TimeUnit.SECONDS);
    } catch (ExecutionException | TimeoutException e) {
      throw new IOException("what the guest gave back could not be filled: " + e.getMessage(), e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IOException("interrupted", e);
    }
  }

  /**
   * Makes huge pages of the memory of a guest that is {@link DestinationPhase#COMPLETE}, on the
   * calling thread; the guest may run meanwhile.
   *
   * @param goOn asked again and again; false ends it early
   * @throws IOException if the kernel does not tell what is mapped
   */
  public CollapseReport collapse(BooleanSupplier goOn) throws IOException {
    if (!course.is(DestinationPhase.COMPLETE)) {
      throw new IllegalStateException("pages are still on their way: " + course.phase());
    }
    CollapseReport report = course.arrival().collapse(goOn);
    listener.collapsed(report);
    return report;
  }

  private void fillGivenBack(CompletableFuture<Void> done) throws IOException {
    course.arrival().fillGivenBack();
    done.complete(null);
  }

  public DestinationPhase phase() {
    return course.phase();
  }

  /** The same over all connections of this migration. */
  public UUID session() {
    return contact.session();
  }

  /** How often connections were begun, from 1; 0 before the start. */
  public int attempt() {
    return contact.attempt();
  }

  /** Whether an operator wants the guest to stay at the source. */
  public boolean isCancelling() {
    return cancels.isWanted();
  }

  /** Where the source is dialled, and what it called itself. */
  public Peer peer() {
    return contact.peer();
  }

  /** A snapshot of the numbers, for reports. */
  public DestinationReport report() {
    Arrival current = course.arrival();
    return current == null
        ? DestinationReport.NOTHING_YET
        : DestinationReport.of(
            current,
            handOver.finding(),
            handOver.digest(),
            course.pauseNanos(),
            course.totalNanos());
  }

  /**
   * Gives the migration up, unless the guest has run here. While the source is out of reach it is
   * dialled until it has heard that the guest never will.
   *
   * @return what came of it; fails with an IOException that says where the guest is and what is
   *     possible instead
   */
  public CompletionStage<String> cancel(String reason) {
    return thread.answer(answer -> orders.cancel(reason, answer));
  }

  /**
   * Dials the source now instead of later, and gives up the connections that there are.
   *
   * @param address where it is from now on; empty for where it was
   * @return what is being done; fails with an IOException in a phase that has nothing to recover
   */
  public CompletionStage<String> reconnect(Optional<InetSocketAddress> address) {
    return thread.answer(answer -> answer.complete(orders.reconnect(address)));
  }

  @Override
  public void close() {
    thread.run(() -> ending.fail(DestinationOutcome.Kind.ABORTED, "the session was closed"));
    thread.close();
    link.close();
    Arrival current = course.arrival();
    if (current != null) {
      current.end();
    }
    ledger.close();
  }

  // --- the way of a guest, on the session's thread ----------------------------------------------

  private void begin() {
    if (parts.home().isPresent()) {
      takeOver(parts.home().get()).begin(settings.source().toString());
    } else {
      contact.dial(1);
    }
  }

  private TakeOver takeOver(GuestHome home) {
    Inheritance inheritance = new Inheritance(home, ledger, stages, parts.scan());
    return new TakeOver(
        inheritance, this::arrival, course, contact, map, recovery, lostSource, ending, thread);
  }

  private Arrival arrival(Guest guest, LedgerJournal journal) throws IOException {
    Arrival.Surroundings around =
        new Arrival.Surroundings(
            writes(),
            settings.onRemove(),
            contact.requests(),
            handOver::beginSoon,
            this::failed,
            listener);
    return new Arrival(guest, journal, parts.userfaultfd(), parts.scan(), around);
  }

  private LedgerQueue writes() {
    return new LedgerQueue(
        (task, millis) -> thread.later(task::run, Duration.ofMillis(millis)),
        this::ledgerPatience,
        this::failed);
  }

  /** Before the source is told that its map is in place, the guest is better off there. */
  private Duration ledgerPatience() {
    return map.isApplied() ? settings.ledgerPatience() : Duration.ZERO;
  }

  /** Callable from any thread. */
  private void failed(Throwable cause) {
    ending.failed(cause);
  }

  private void resumeIfReady() throws IOException {
    if (map.isReleased() && !course.hasRun() && contact.isReadyForPages()) {
      resumeGuest();
    }
  }

  /** The whole map is in place and acknowledged, and the source has let go of the vCPUs. */
  private void resumeGuest() throws IOException {
    Arrival arrival = course.arrival();
    arrival.journal().appendDepartures(map.path());
    stages.resumed();
    course.enter(
        DestinationPhase.RUNNING, "poison map applied: " + arrival.poisonedFrames().size());
    course.runs();
    contact.openLine();
    arrival.faultLoop().start();
    arrival.guest().resume();
    PageSet lost = arrival.poisonedFrames().copy();
    settings.announceEvery().ifPresent(interval -> arrival.guest().announce(lost, interval));
    course.pauseEnds();
    contact.send(new ControlMessage.GuestResumed());
    widening.ask();
    goOn(); // a guest whose every page is lost; one so small that its streams have ended
  }

  /** What came about while the phase was another one. */
  private void goOn() {
    if (course.unresolved() == 0) {
      handOver.beginSoon();
    }
    requestTheRestAfterStreams();
  }

  private void requestTheRestAfterStreams() {
    if (contact.haveStreamsEnded() && course.is(DestinationPhase.RUNNING)) {
      requestTheRest(course.arrival());
    }
  }

  private void requestTheRest(Arrival arrival) {
    boolean more = leftOut.ask(arrival.table(), arrival.faults(), this::failed);
    contact.requests().flush();
    if (more) {
      thread.later(this::requestTheRestAfterStreams, REST_PAUSE);
    }
  }

  // --- what the source says, on the session's thread --------------------------------------------

  private final class Heard implements SourceContact.Session {

    @Override
    public void ready() throws IOException {
      resumeIfReady();
    }

    @Override
    public void heard(ControlMessage message) throws IOException {
      if (recovery.isStrangerAnswering()) {
        exchange.onStranger(message);
      } else {
        dispatch(message);
      }
    }

    @Override
    public void streamEnded() {
      requestTheRestAfterStreams();
    }

    @Override
    public void poisonLearnt(PageSet poisoned, PageSet held) {
      losses.learnt(poisoned, held);
    }

    @Override
    public void broken(ConnectionKind kind, String text, Throwable cause) throws IOException {
      recovery.onBroken(kind, text, cause);
    }

    @Override
    public void failed(Throwable cause) {
      ending.failed(cause);
    }
  }

  private void dispatch(ControlMessage message) throws IOException {
    if (message instanceof ControlMessage.GuestOffer offer) {
      map.onOffer(offer);
    } else if (message instanceof ControlMessage.PoisonMapPart part) {
      map.onPart(part);
    } else if (message instanceof ControlMessage.PoisonGivenUp before) {
      map.onGivenUpBefore(before);
    } else if (message instanceof ControlMessage.PoisonMapEnd end) {
      map.onEnd(end);
    } else if (message instanceof ControlMessage.GuestReleased word) {
      map.onReleased(word);
      resumeIfReady();
    } else if (message instanceof ControlMessage.LatePoison late) {
      losses.onLatePoison(late);
    } else if (message instanceof ControlMessage.PoisonMapCheck) {
      exchange.onMapCheck();
    } else if (message instanceof ControlMessage.RecoveryAccepted) {
      onRecovered();
    } else if (message instanceof ControlMessage.HandOverAccepted) {
      handOver.onAccepted();
    } else if (message instanceof ControlMessage.CancelRequest request) {
      orders.onCancelRequest(request);
    } else if (message instanceof Refusal refusal) {
      onRefusal(refusal);
    } else if (message instanceof ControlMessage.Farewell farewell) {
      ending.fail(DestinationOutcome.Kind.ABORTED, "the source ended it: " + farewell.reason());
    } else if (!(message instanceof ControlMessage.UnknownMessage)) {
      throw new ProtocolException(
          "a destination is never sent " + message.getClass().getSimpleName());
    }
  }

  private void onRecovered() {
    recovery.onAccepted();
    if (course.hasRun()) {
      widening.askAgain();
      goOn();
    }
  }

  private void onRefusal(Refusal refusal) {
    DestinationOutcome.Kind kind =
        refusal.code() == Refusal.Code.HAND_OVER
            ? DestinationOutcome.Kind.VERIFICATION_FAILED
            : DestinationOutcome.Kind.PEER_REFUSED;
    ending.fail(kind, "the source refused: " + refusal.reason());
  }
}
