package ward.cli;

import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;
import ward.wire.ControlMessage;

/** {@code ward recover}. */
@Command(
    name = "recover",
    description = {
      "Makes a destination dial its source now, at another address if one is given, and go on with the same"
          + " migration.",
      "Possible while the connections are broken (phase RECOVERING), and in phase RUNNING, where they are"
          + " given up first; refused in any other phase (exit code 5). If nobody answers there, that"
          + " address is dialled again and again until another is given."
    })
final class RecoverCommand implements Callable<Integer> {

  @Mixin ControlSocket control;

  @Option(
      names = "--connect",
      paramLabel = "HOST:PORT",
      description = "Where the source is now (default: where it was).")
  HostPort connect;

  @Spec CommandSpec spec;

  @Override
  public Integer call() {
    ControlMessage.Recover command =
        connect == null
            ? new ControlMessage.Recover("", 0)
            : new ControlMessage.Recover(connect.host(), requirePort());
    if (control.send(command) instanceof ControlMessage.Done done) {
      spec.commandLine().getOut().println(done.text());
    }
    return ExitCode.OK.code();
  }

  private int requirePort() {
    if (connect.port() == 0) {
      throw new ParameterException(
          spec.commandLine(), "--connect: port 0; 1 to 65535 can be dialled");
    }
    return connect.port();
  }
}
