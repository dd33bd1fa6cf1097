package ward.cli;

import java.io.IOException;
import java.net.InetSocketAddress;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import ward.destination.DestinationOutcome;
import ward.destination.DestinationPhase;
import ward.destination.DestinationSession;
import ward.guest.GuestExit;
import ward.metrics.DestinationMetrics;
import ward.metrics.Progress;
import ward.uffd.MarkerKind;
import ward.wire.ControlMessage;

/** A destination from its first connection to the end of its guest, or to SIGTERM. */
final class DestinationRun implements ControlServer.Commands {

  private static final Logger log = LoggerFactory.getLogger("ward.destination");

  private final DestinationSession session;
  private final GuestBooks books;
  private final DestinationMetrics metrics;
  private final GuestChoice choice;
  private final MarkerKind marker;
  private final Optional<Onward> onward;
  private volatile SourceRun departing; // null until the guest is offered to the next destination
  private final CompletableFuture<Void> signalled = new CompletableFuture<>();

  DestinationRun(
      DestinationSession session,
      GuestBooks books,
      DestinationMetrics metrics,
      GuestChoice choice,
      MarkerKind marker,
      Optional<Onward> onward) {
    this.session = session;
    this.books = books;
    this.metrics = metrics;
    this.choice = choice;
    this.marker = marker;
    this.onward = onward;
  }

  /** What {@code --json} prints. */
  record Result(int exitCode, DestinationOutcome outcome, DestinationStatus status) {}

  /**
   * @param text for standard error, where the exit code is not OK
   */
  record Ending(ExitCode exitCode, String text, Result result) {}

  /**
   * @param keep whether to wait for SIGTERM before the guest's memory goes
   */
  Ending toTheEnd(boolean keep) throws IOException {
    Termination.onSignal(this::stop);
    DestinationOutcome outcome;
    try (Progress progress = showProgress()) {
      outcome = session.start().toCompletableFuture().join();
    }
    return session.phase() == DestinationPhase.COMPLETE
        ? afterMigration(outcome, keep)
        : afterFailure(outcome);
  }

  private void stop() {
    books.stopWaiting();
    session.abandon("stopped by a signal");
    signalled.complete(null);
    SourceRun next = departing;
    if (next != null) {
      next.stop();
    }
  }

  private Progress showProgress() {
    return Progress.show(
        "destination",
        () -> session.report().pagesTotal(),
        () -> session.report().pagesTotal() - session.report().unresolved(),
        System.err,
        System.console() != null);
  }

  private Ending afterMigration(DestinationOutcome outcome, boolean keep) throws IOException {
    log.info("{}", outcome.text());
    if (onward.isPresent()) {
      Optional<Ending> gone = offer(onward.get(), outcome);
      if (gone.isPresent()) {
        return gone.get();
      }
    }
    GuestExit exit = awaitGuestOrSignal();
    if (keep) {
      awaitSignal();
    }
    boolean wentWell = exit == null || exit.kind() == GuestExit.Kind.POWERED_OFF;
    return wentWell
        ? ending(Outcomes.exitCode(outcome), outcome.text(), outcome)
        : ending(ExitCode.GUEST_ENDED, exit.reason(), outcome);
  }

  /** Empty if the guest has ended here, or a signal has come, as if it had not been offered. */
  private Optional<Ending> offer(Onward next, DestinationOutcome outcome) throws IOException {
    try (SourceRun run = next.listen(session, books.journal(), books)) {
      departing = run;
      if (signalled.isDone()) {
        run.stop();
      }
      log.info("the guest is offered to the next destination on {}", run.address());
      SourceRun.Ending end = run.toTheEnd();
      boolean stayed =
          end.exitCode() == ExitCode.GUEST_ENDED_HERE
              || end.exitCode() == ExitCode.UNFINISHED_BEFORE_RUN && signalled.isDone();
      return stayed
          ? Optional.empty()
          : Optional.of(ending(end.exitCode(), end.outcome().text(), outcome));
    }
  }

  /** A guest that ran here is still here, paused: giving it up is the operator's decision. */
  private Ending afterFailure(DestinationOutcome outcome) {
    if (session.phase() == DestinationPhase.UNFINISHED && !hasGuestEnded()) {
      log.error("unfinished: {}; SIGTERM gives it up", outcome.text());
      awaitSignal();
    }
    return ending(Outcomes.exitCode(outcome), outcome.text(), outcome);
  }

  private boolean hasGuestEnded() {
    return session.guest().exited().toCompletableFuture().isDone();
  }

  private Ending ending(ExitCode code, String text, DestinationOutcome outcome) {
    return new Ending(code, text, new Result(code.code(), outcome, status()));
  }

  /** Null if a signal came first. */
  private GuestExit awaitGuestOrSignal() {
    CompletableFuture<GuestExit> exited =
        session
            .guest()
            .exited()
            .thenApply(
                exit -> {
                  log.info("the guest ended: {}, {}", exit.kind(), exit.reason());
                  return exit;
                })
            .toCompletableFuture();
    CompletableFuture.anyOf(exited, signalled).join();
    return exited.getNow(null);
  }

  private void awaitSignal() {
    signalled.join();
  }

  private DestinationStatus status() {
    SourceRun next = departing;
    return DestinationStatus.of(
        session, books, metrics, choice, marker, next == null ? null : next.status());
  }

  @Override
  public CompletionStage<ControlMessage> execute(ControlMessage command) {
    if (command instanceof ControlMessage.StatusQuery) {
      return CompletableFuture.completedFuture(new ControlMessage.Status(Json.line(status())));
    }
    SourceRun next = departing;
    if (next != null) {
      return next.commands().execute(command);
    }
    if (command instanceof ControlMessage.Cancel cancel) {
      return session.cancel(cancel.reason()).thenApply(ControlMessage.Done::new);
    }
    if (command instanceof ControlMessage.Recover recover) {
      return recover(recover);
    }
    if (command instanceof ControlMessage.RaiseSError error) {
      return SErrors.raise(session.guest(), error);
    }
    return ControlServer.unsupported("a destination", command);
  }

  private CompletionStage<ControlMessage> recover(ControlMessage.Recover command) {
    if (command.port() == 0) {
      return session.reconnect(Optional.empty()).thenApply(ControlMessage.Done::new);
    }
    InetSocketAddress address = new InetSocketAddress(command.host(), command.port());
    return address.isUnresolved()
        ? CompletableFuture.failedFuture(
            new IOException("host name \"%s\" cannot be resolved".formatted(command.host())))
        : session.reconnect(Optional.of(address)).thenApply(ControlMessage.Done::new);
  }
}
