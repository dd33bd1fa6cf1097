package ward.testbed;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import ward.cli.ControlClient;
import ward.cli.ExitCode;
import ward.wire.ControlMessage;

/** What an operator sees and does while a guest is on its way, in two real processes. */
@Timeout(value = 3, unit = TimeUnit.MINUTES)
class OperatorScenario extends OperatedMigration {
  @Test
  void aSourceThatNobodyHasComeToEndsAndSaysThatItsGuestIsWhole() throws IOException {
    startSource(false);

    cancel("source");

    assertEquals(ExitCode.UNFINISHED_BEFORE_RUN.code(), source.await(deadline), source::errors);
    assertThat(source.errors()).contains("too slow", "it is whole here");
  }

  @Test
  void aControlSocketIsItsOwnersAloneAndOutlivesNoDaemonForTheNext() throws IOException {
    startSource(false);
    Path socket = path("source.sock");
    assertEquals(
        PosixFilePermissions.fromString("rw-------"), Files.getPosixFilePermissions(socket));
    Daemon first = source;

    List<String> sameSocket =
        List.of(
            "destination",
            "--connect",
            "127.0.0.1:" + listening().getPort(),
            "--ledger",
            path("second-ledger").toString(),
            "--control",
            socket.toString());
    Daemon second = kept(Daemon.start(directory, "second", List.of(), sameSocket));

    assertEquals(ExitCode.HOST_REFUSED.code(), second.await(deadline), second::errors);
    assertThat(second.errors()).contains("another program listens there");
    assertEquals("LISTENING", status("source").get("phase").asText());
    first.kill();
    assertTrue(Files.exists(socket), "nobody has removed it");
    kept(first.again(directory, "third"));
    awaitPhase("LISTENING", "source");
    assertEquals(
        PosixFilePermissions.fromString("rw-------"), Files.getPosixFilePermissions(socket));
  }

  @Test
  void onceTheGuestHasRunBothRefuseAndTheMigrationEndsAsIfNobodyHadAsked() throws IOException {
    startSource(false);
    FaultyLink link = slowLink();
    startDestination(link.address());
    awaitPhase("SERVING", "source");

    requireRefused(order("cancel", "source"), "has run at the destination", "cannot be taken back");
    requireRefused(order("cancel", "destination"), "the guest has run here", "cannot go back");
    requireRefused(order("recover", "source"), "for the destination's --control socket");
    ControlMessage serror = new ControlMessage.RaiseSError(0, 0);
    assertThatThrownBy(() -> ControlClient.send(path("source.sock"), serror))
        .hasMessageContaining("the guest does not run here");
    assertThatThrownBy(() -> ControlClient.send(path("destination.sock"), serror))
        .hasMessageContaining("know no SError");

    link.heal();
    ControlClient.send(path("source.sock"), new ControlMessage.StreamControl(false));
    assertEquals(0, source.await(deadline), source::errors);
    assertEquals(0, destination.await(deadline), destination::errors);
  }

  @Test
  void aSourceThatIsElsewhereAfterABreakIsDialledThereAndTheMigrationEnds() throws Exception {
    startSource(false);
    FaultyLink first = slowLink();
    FaultyLink second = slowLink();
    startDestination(first.address());
    awaitPhase("SERVING", "source");
    requireRefused(order("cancel", "destination"), "the guest has run here");
    first.refuse();
    first.resetAll();
    awaitPhase("RECOVERING", "destination");
    deadline.await(
        "somebody to wait", () -> status("destination").at("/waiters/count").asInt() > 0);
    Thread.sleep(300); // so long, at least, that somebody waits
    requireRefused(order("cancel", "source"), "has run at the destination");
    String session = status("destination").get("session").asText();
    String there = "127.0.0.1:" + second.address().getPort();

    Order recover = order("recover", "destination", "--connect", there);

    assertEquals(0, recover.await(deadline), recover::errors);
    assertThat(recover.output()).contains("dialling " + there, session);
    awaitPhase("SERVING", "source");
    awaitPhase("RUNNING", "destination");
    JsonNode after = status("destination");
    assertEquals(there, after.at("/peer/address").asText());
    assertEquals(session, after.get("session").asText());
    assertThat(after.at("/lastError/text").asText()).contains("cannot connect");
    deadline.await(
        "the wait to be over",
        () -> status("destination").at("/breaks/longestWaitMillis").asDouble() > 300);
    assertThat(status("destination").at("/breaks/waiters").asInt()).isPositive();
    recoverOnceMoreWhileNothingIsBroken(there);
    second.heal();
    ControlClient.send(path("source.sock"), new ControlMessage.StreamControl(false));
    assertEquals(0, source.await(deadline), source::errors);
    assertEquals(0, destination.await(deadline), destination::errors);
    assertThat(destination.errors())
        .containsPattern(
            "over the break [1-9][0-9]* threads waited for pages, the longest [0-9]+ ms");
  }

  /** To where it is, in phase RUNNING: the connections that there are go. */
  private void recoverOnceMoreWhileNothingIsBroken(String there) throws IOException {
    int before = status("destination").get("attempt").asInt();

    Order recover = order("recover", "destination");

    assertEquals(0, recover.await(deadline), recover::errors);
    assertThat(recover.output()).contains("dialling " + there);
    deadline.await("another attempt", () -> status("destination").get("attempt").asInt() > before);
    awaitPhase("RUNNING", "destination");
    assertTrue(status("destination").at("/breaks/count").asInt() >= 2);
  }

  @Test
  void aStatusIsWatchedUntilTheMigrationHasEnded() throws IOException {
    startSource(false);
    FaultyLink link = slowLink();
    startDestination(link.address(), "destination", "--keep"); // or it may end between two looks
    awaitPhase("RUNNING", "destination");
    Order now = order("status", "destination");
    assertEquals(0, now.await(deadline), now::errors);
    assertThat(now.output())
        .contains("the guest runs here; missing pages come from the source")
        .containsPattern("(?m)^pages +[0-9,]+ of 4,096 resolved \\([0-9]+ %\\)$")
        .containsPattern(
            "(?m)^peer +.+ at 127\\.0\\.0\\.1:[0-9]+, session [0-9a-f-]{36}, attempt 1$");
    requireRefused(order("status", "source", "--interval", "0"), ExitCode.USAGE, "--interval");
    Order watch = order("status", "destination", "--watch", "--interval", "0.05");
    deadline.await("the watch to begin", () -> watch.output().contains("RUNNING: "));

    link.heal();
    ControlClient.send(path("source.sock"), new ControlMessage.StreamControl(false));

    assertEquals(0, watch.await(deadline), watch::errors);
    List<String> lines = watch.output().lines().toList();
    assertThat(lines).doesNotHaveDuplicates().hasSizeGreaterThan(1);
    assertThat(lines.get(lines.size() - 1)).startsWith("COMPLETE: 4,096 of 4,096 resolved (100 %)");
    deadline.await("the guest to end", () -> status("destination").get("guestEnded").asBoolean());
    destination.terminate();
    assertEquals(0, destination.await(deadline), destination::errors);
  }
}
