package ward.cli;

import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;
import ward.wire.ControlMessage;

/** {@code ward cancel}. */
@Command(
    name = "cancel",
    description = {
      "Gives a migration up before the guest has run at the destination: the guest stays at the source as"
          + " it was. At either daemon.",
      "The destination ends with exit code 6. So does a source that only serves memory; one that runs the"
          + " guest (--run) lets it go on, and the next destination may come. Once the guest has run at"
          + " the destination, the daemon refuses (exit code 5) and says what is possible."
    })
final class CancelCommand implements Callable<Integer> {

  @Mixin ControlSocket control;

  @Option(
      names = "--reason",
      paramLabel = "TEXT",
      defaultValue = "no reason given",
      description = "For the logs of both sides (default: ${DEFAULT-VALUE}).")
  String reason;

  @Option(
      names = "--never-ran",
      description =
          "At a source that waits for a destination which has ended: your word that the guest has not"
              + " run there, and will not (it ended with exit code 6 and said so). If that is wrong, the"
              + " guest runs twice.")
  boolean neverRan;

  @Spec CommandSpec spec;

  @Override
  public Integer call() {
    if (control.send(new ControlMessage.Cancel(reason, neverRan))
        instanceof ControlMessage.Done done) {
      spec.commandLine().getOut().println(done.text());
    }
    return ExitCode.OK.code();
  }
}
