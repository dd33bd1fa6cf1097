package ward.cli;

import java.io.IOException;
import java.nio.file.Path;
import picocli.CommandLine.Option;
import ward.wire.ControlMessage;

/** Which daemon a command speaks to. */
final class ControlSocket {

  @Option(
      names = "--control",
      required = true,
      paramLabel = "SOCKET",
      description = "The daemon's --control socket.")
  Path path;

  ControlMessage send(ControlMessage command) {
    return send(path, command);
  }

  /**
   * @throws CommandFailure PEER_REFUSED if the daemon does not do it, HOST_REFUSED if none answers
   */
  static ControlMessage send(Path socket, ControlMessage command) {
    try {
      return ControlClient.send(socket, command);
    } catch (CommandRefusedException e) {
      throw new CommandFailure(ExitCode.PEER_REFUSED, e.getMessage());
    } catch (IOException e) {
      throw new CommandFailure(ExitCode.HOST_REFUSED, e.getMessage());
    }
  }

  /** As text; the daemon's version decides what is in it. */
  String status() {
    ControlMessage answer = send(new ControlMessage.StatusQuery());
    if (answer instanceof ControlMessage.Status status) {
      return status.json();
    }
    throw new CommandFailure(
        ExitCode.PEER_REFUSED,
        "%s: asked for its status, the daemon answered %s"
            .formatted(path, answer.getClass().getSimpleName()));
  }
}
