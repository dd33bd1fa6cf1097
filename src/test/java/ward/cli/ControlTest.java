package ward.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import ward.wire.ControlMessage;
import ward.wire.Transport;

/** The control socket, over a real UNIX socket. */
@Timeout(30)
class ControlTest {

  @TempDir private Path directory;
  private Transport transport;
  private ControlServer server;
  private Path socket;

  @BeforeEach
  void listen() throws Exception {
    socket = directory.resolve("control.sock");
    transport = Transport.open("control-test", 1);
    server = ControlServer.listen(transport, socket, ControlTest::execute);
  }

  @AfterEach
  void close() {
    server.close();
    transport.close();
  }

  private static java.util.concurrent.CompletionStage<ControlMessage> execute(
      ControlMessage command) {
    return command instanceof ControlMessage.StatusQuery
        ? CompletableFuture.completedFuture(new ControlMessage.Status("{\"phase\":\"SERVING\"}"))
        : ControlServer.unsupported("a test", command);
  }

  @Test
  void aCommandGetsItsAnswer() throws Exception {
    ControlMessage answer = ControlClient.send(socket, new ControlMessage.StatusQuery());

    assertThat(answer).isEqualTo(new ControlMessage.Status("{\"phase\":\"SERVING\"}"));
  }

  @Test
  void whatTheDaemonRefusesReachesTheOneWhoAsked() {
    assertThatThrownBy(() -> ControlClient.send(socket, new ControlMessage.StreamControl(true)))
        .isInstanceOf(IOException.class)
        .hasMessage("a test does not take StreamControl");
  }

  @Test
  void onlyTheOwnerMaySpeak() throws Exception {
    assertThat(PosixFilePermissions.toString(Files.getPosixFilePermissions(socket)))
        .isEqualTo("rw-------");
  }

  @Test
  void theSocketGoesWithItsDaemon() {
    server.close();

    assertThatThrownBy(() -> ControlClient.send(socket, new ControlMessage.StatusQuery()))
        .isInstanceOf(IOException.class)
        .hasMessageContaining(socket.toString());
  }
}
