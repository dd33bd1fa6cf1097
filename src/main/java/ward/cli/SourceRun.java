package ward.cli;

import java.io.IOException;
import java.net.InetSocketAddress;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import ward.guest.Guest;
import ward.guest.GuestExit;
import ward.kernel.Kernel;
import ward.metrics.MetricsEndpoint;
import ward.metrics.SourceMetrics;
import ward.poison.MigrationRecord;
import ward.source.SourceOutcome;
import ward.source.SourcePhase;
import ward.source.SourceServer;
import ward.source.SourceSession;
import ward.source.SourceSettings;
import ward.wire.Transport;
import ward.wire.TransportException;

/**
 * A source from its first listening until the guest is elsewhere, or cannot go anywhere. A guest
 * that runs here outlives a migration that was given up before it ran elsewhere; then the next
 * destination may come.
 */
final class SourceRun implements AutoCloseable {

  private static final Logger log = LoggerFactory.getLogger("ward.source");
  private static final String RUNNING = "running";

  /**
   * @param running empty where the guest does not run here
   * @param earlier what a process that died has left of a session that goes on here
   */
  record Parts(
      SourceSettings settings,
      Kernel kernel,
      SourceSession.Subject subject,
      Optional<Guest> running,
      Optional<MigrationRecord> earlier,
      GuestBooks books) {}

  /** How it ended, and what the process answers. */
  record Ending(ExitCode exitCode, SourceOutcome outcome) {}

  private final Parts parts;
  private final SourceMetrics metrics = new SourceMetrics();
  private final CompletableFuture<GuestExit> guestExit;
  private SourceServer server; // set once, before anybody else sees this object
  private volatile SourceSession session;
  private volatile long streamBytesPerSecond; // of every attempt to come; 0: as fast as it goes
  private volatile boolean stopped;
  private volatile int attempts;

  private SourceRun(Parts parts) throws IOException {
    this.parts = parts;
    this.streamBytesPerSecond = parts.settings().streamBytesPerSecond();
    this.guestExit =
        parts
            .running()
            .map(guest -> guest.exited().toCompletableFuture())
            .orElseGet(CompletableFuture::new);
    parts.books().lines().locateBy(() -> parts.subject().memory().memory());
    this.session = parts.earlier().isPresent() ? goOn(parts.earlier().get()) : newSession();
  }

  private SourceSession goOn(MigrationRecord earlier) throws IOException {
    return SourceSession.continued(
        parts.settings(), parts.kernel(), parts.subject(), events(), earlier);
  }

  /**
   * @throws TransportException if the address cannot be had
   * @throws IOException if the ledger does not fit the guest
   */
  static SourceRun listen(Parts parts, Transport transport, InetSocketAddress address)
      throws IOException, TransportException {
    SourceRun run = new SourceRun(parts);
    try {
      run.server = SourceServer.listen(transport, address, parts.settings(), () -> run.session);
      return run;
    } catch (TransportException e) {
      run.session.close();
      throw e;
    }
  }

  private SourceSession newSession() throws IOException {
    return new SourceSession(
        parts.settings().withStreamLimit(streamBytesPerSecond),
        parts.kernel(),
        parts.subject(),
        events());
  }

  private SourceEvents events() {
    return new SourceEvents(metrics, parts.books().lines(), log);
  }

  InetSocketAddress address() {
    return server.address();
  }

  ControlServer.Commands commands() {
    return new SourceControl(() -> session, this::status, this::runningHere, this::limitStream);
  }

  /** From now on, in this attempt and in those that follow. From any thread. */
  private synchronized void limitStream(long bytesPerSecond) {
    streamBytesPerSecond = bytesPerSecond;
    session.limitStream(bytesPerSecond);
  }

  private synchronized void nextSession() throws IOException {
    session = newSession();
  }

  MetricsEndpoint.Source numbers() {
    return new MetricsEndpoint.Source(
        Main.version(),
        () -> session.phase(),
        () -> session.pageCount(),
        () -> parts.subject().journal().ledger().pageCount(),
        () -> attempts,
        () -> streamBytesPerSecond,
        metrics,
        parts.books().counts());
  }

  SourceStatus status() {
    return SourceStatus.of(
        session,
        server,
        metrics,
        whereTheGuestIs(),
        attempts,
        parts.books().injected(),
        parts.subject().journal().ledger());
  }

  private Guest runningHere() {
    return whereTheGuestIs().equals(RUNNING) ? parts.running().orElseThrow() : null;
  }

  private String whereTheGuestIs() {
    if (guestExit.isDone()) {
      return "ended";
    }
    boolean here =
        session.phase() == SourcePhase.LISTENING || session.phase() == SourcePhase.ABORTED;
    return parts.running().isPresent() && here ? RUNNING : "asleep";
  }

  /** For an operator's signal: no further destination is waited for. */
  void stop() {
    stopped = true;
    parts.books().stopWaiting();
    session.abandon("stopped by a signal");
  }

  /** Waits for the end. */
  Ending toTheEnd() throws IOException {
    guestExit.thenAccept(exit -> session.abandon(textOf(exit)));
    SourceOutcome outcome = session.outcome().toCompletableFuture().join();
    while (isAnotherAttemptPossible()) {
      log.warn("the guest runs on here: {}", outcome.text());
      attempts++;
      session.close();
      nextSession();
      abandonIfOver();
      outcome = session.outcome().toCompletableFuture().join();
    }
    return ending(outcome);
  }

  private boolean isAnotherAttemptPossible() {
    return parts.running().isPresent()
        && session.phase() == SourcePhase.ABORTED
        && !stopped
        && !guestExit.isDone();
  }

  /** What came between the end of one session and the beginning of the next reached neither. */
  private void abandonIfOver() {
    if (stopped) {
      session.abandon("stopped by a signal");
    } else if (guestExit.isDone()) {
      session.abandon(textOf(guestExit.join()));
    }
  }

  private static String textOf(GuestExit exit) {
    return "the guest ended here (%s: %s)".formatted(exit.kind(), exit.reason());
  }

  private Ending ending(SourceOutcome outcome) {
    if (session.phase() == SourcePhase.ABORTED && guestExit.isDone()) {
      return new Ending(
          ExitCode.GUEST_ENDED_HERE,
          new SourceOutcome(
              outcome.kind(), textOf(guestExit.join()) + "; there is nothing left to migrate"));
    }
    if (session.phase() == SourcePhase.ABORTED && parts.running().isPresent()) {
      return new Ending(
          Outcomes.exitCode(outcome),
          new SourceOutcome(
              outcome.kind(),
              outcome.text()
                  + "; it ran in this process, and ends with it: start it again from --memory and a state of its vCPUs"));
    }
    return new Ending(Outcomes.exitCode(outcome), outcome);
  }

  @Override
  public void close() {
    server.close();
    session.close();
  }
}
