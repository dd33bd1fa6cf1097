package ward.cli;

import java.io.PrintWriter;
import java.time.Duration;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** {@code ward status}. */
@Command(
    name = "status",
    description = "Says how far a migration is, where the guest is, and what went wrong last.")
final class StatusCommand implements Callable<Integer> {

  private static final double INTERVAL_SECONDS_MAX = 86_400;

  @Mixin ControlSocket control;

  @Option(names = "--json", description = "Print the daemon's whole answer, a JSON object a line.")
  boolean json;

  @Option(
      names = "--watch",
      description =
          "Go on until the migration has ended: redrawn on a terminal, a line for each change"
              + " elsewhere.")
  boolean watch;

  @Option(
      names = "--interval",
      paramLabel = "SECONDS",
      defaultValue = "1",
      description = "With --watch: between two looks (default: ${DEFAULT-VALUE}).")
  double intervalSeconds;

  @Spec CommandSpec spec;

  @Override
  public Integer call() throws InterruptedException {
    if (!(intervalSeconds > 0 && intervalSeconds <= INTERVAL_SECONDS_MAX)) {
      throw new ParameterException(
          spec.commandLine(),
          "--interval %s; more than 0, at most %.0f s are allowed"
              .formatted(intervalSeconds, INTERVAL_SECONDS_MAX));
    }
    PrintWriter out = spec.commandLine().getOut();
    if (!watch) {
      String status = control.status();
      out.println(json ? status : String.join(System.lineSeparator(), StatusText.lines(status)));
      return ExitCode.OK.code();
    }
    new StatusWatch(control::status, out, form()).untilEnd(interval());
    return ExitCode.OK.code();
  }

  private Duration interval() {
    return Duration.ofNanos(Math.round(intervalSeconds * 1e9));
  }

  private StatusWatch.Form form() {
    if (json) {
      return StatusWatch.Form.JSON;
    }
    return System.console() == null ? StatusWatch.Form.LINE : StatusWatch.Form.SCREEN;
  }
}
