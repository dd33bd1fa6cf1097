package ward.cli;

import java.time.Duration;
import picocli.CommandLine.Option;

/** How long a peer may stay silent, the same for both daemons. */
final class HandshakeOption {

  private static final long SECONDS_MAX = 3_600;

  @Option(
      names = "--handshake-timeout",
      paramLabel = "SECONDS",
      defaultValue = "10",
      description =
          "How long the peer may take to say who it is on a new connection, 1 to 3600; one that answers"
              + " nothing for three and a half times as long later on is given up. On both sides"
              + " more for hosts that are slow to answer (default: ${DEFAULT-VALUE}).")
  long seconds;

  Duration limit() {
    if (seconds < 1 || seconds > SECONDS_MAX) {
      throw new CommandFailure(
          ExitCode.USAGE,
          "--handshake-timeout %d; 1 to %d s are allowed".formatted(seconds, SECONDS_MAX));
    }
    return Duration.ofSeconds(seconds);
  }
}
