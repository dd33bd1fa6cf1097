package ward.cli;

import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;

/**
 * SIGTERM and SIGINT with an orderly end and a documented exit code: the JVM alone would answer 143
 * whatever happened.
 */
final class Termination {

  private static final long PATIENCE_SECONDS = 20;

  private static final CompletableFuture<Integer> finished = new CompletableFuture<>();
  private static volatile boolean exiting;

  private Termination() {}

  /** Runs {@code stop} on a signal; the command then has some time to come to its end. */
  static void onSignal(Runnable stop) {
    Runtime.getRuntime().addShutdownHook(new Thread(() -> stopThenHalt(stop), "ward-termination"));
  }

  private static void stopThenHalt(Runnable stop) {
    if (exiting) {
      return;
    }
    stop.run();
    try {
      Runtime.getRuntime().halt(finished.get(PATIENCE_SECONDS, TimeUnit.SECONDS));
    } catch (InterruptedException | ExecutionException | TimeoutException e) {
      Runtime.getRuntime().halt(ExitCode.INTERNAL_ERROR.code());
    }
  }

  /** Ends the process; a signal that came first waits for this code. */
  static void exit(int code) {
    exiting = !isShuttingDown();
    finished.complete(code);
    System.exit(code); // never returns, also while a signal is being handled
  }

  private static boolean isShuttingDown() {
    Thread probe = new Thread(() -> {});
    try {
      Runtime.getRuntime().addShutdownHook(probe);
      Runtime.getRuntime().removeShutdownHook(probe);
      return false;
    } catch (IllegalStateException shuttingDown) {
      return true;
    }
  }
}
