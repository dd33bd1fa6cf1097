package ward.cli;

import java.time.Duration;
import picocli.CommandLine.Option;

/** How long a daemon puts up with a disk that does not take its ledger, the same for both. */
final class LedgerPatienceOption {

  private static final long SECONDS_MAX = 1_000_000_000;

  @Option(
      names = "--ledger-patience",
      paramLabel = "SECONDS",
      defaultValue = "300",
      description =
          "How long to try again when the ledger's disk is full or fails while pages are on their way:"
              + " what needs a page whose loss is not on disk waits. Afterwards the migration ends,"
              + " exit code 4; 0 means at once (default: ${DEFAULT-VALUE}).")
  long seconds;

  Duration limit() {
    if (seconds < 0 || seconds > SECONDS_MAX) {
      throw new CommandFailure(
          ExitCode.USAGE,
          "--ledger-patience %d; 0 to %d s are allowed".formatted(seconds, SECONDS_MAX));
    }
    return Duration.ofSeconds(seconds);
  }
}
