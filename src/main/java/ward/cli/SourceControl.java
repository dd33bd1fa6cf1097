package ward.cli;

import java.io.IOException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.function.LongConsumer;
import java.util.function.Supplier;
import ward.guest.Guest;
import ward.source.SourceSession;
import ward.wire.ControlMessage;

/** What a source does for {@code ward control}. */
final class SourceControl implements ControlServer.Commands {

  private final Supplier<SourceSession> session;
  private final Supplier<SourceStatus> status;
  private final Supplier<Guest> running;
  private final LongConsumer limit;

  /**
   * @param session the one under way, asked anew for every command
   * @param running the guest while it runs here, else null
   * @param limit takes what the streams may send from now on, in bytes a second; 0 for no limit
   */
  SourceControl(
      Supplier<SourceSession> session,
      Supplier<SourceStatus> status,
      Supplier<Guest> running,
      LongConsumer limit) {
    this.session = session;
    this.status = status;
    this.running = running;
    this.limit = limit;
  }

  @Override
  public CompletionStage<ControlMessage> execute(ControlMessage command) {
    if (command instanceof ControlMessage.StatusQuery) {
      return now(new ControlMessage.Status(Json.line(status.get())));
    }
    if (command instanceof ControlMessage.StreamControl stream) {
      session.get().pauseStream(stream.paused());
      return now(new ControlMessage.Done());
    }
    if (command instanceof ControlMessage.StreamLimit wanted) {
      limit.accept(wanted.bytesPerSecond());
      return now(new ControlMessage.Done());
    }
    if (command instanceof ControlMessage.ReportPoison report) {
      return session
          .get()
          .reportPoison(report.entries())
          .thenApply(
              result ->
                  new ControlMessage.ReportPoisonResult(
                      result.poisoned(), result.held(), result.alreadyKnown()));
    }
    if (command instanceof ControlMessage.Cancel cancel) {
      return session
          .get()
          .cancel(cancel.reason(), cancel.guestNeverRan())
          .thenApply(ControlMessage.Done::new);
    }
    if (command instanceof ControlMessage.Recover) {
      return CompletableFuture.failedFuture(
          new IOException(
              "a source waits for its destination: `ward recover` is for the destination's --control socket"));
    }
    if (command instanceof ControlMessage.RaiseSError error) {
      return SErrors.raise(running.get(), error);
    }
    return ControlServer.unsupported("a source", command);
  }

  private static CompletionStage<ControlMessage> now(ControlMessage answer) {
    return CompletableFuture.completedFuture(answer);
  }
}
