package ward.testbed;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import ward.cli.ControlClient;
import ward.cli.ExitCode;
import ward.cli.LayoutFile;
import ward.poison.LedgerJournal;
import ward.wire.ControlMessage;

/** A daemon that goes away while the guest's pages are on two hosts. */
@Timeout(value = 2, unit = TimeUnit.MINUTES)
class SourceLossScenario {

  private static final ObjectMapper JSON = new ObjectMapper();

  /** Enough that the guest cannot have asked for all of it before the test looks. */
  private static final long MEMORY_BYTES = 128 << 20;

  @TempDir Path directory;

  private final Deadline deadline = new Deadline(Duration.ofSeconds(90));

  private Path path(String name) {
    return directory.resolve(name);
  }

  private Daemon startSource() throws IOException {
    return startSource("0");
  }

  private Daemon startSource(String returnSeconds) throws IOException {
    try (FileChannel memory =
        FileChannel.open(
            path("memory"),
            StandardOpenOption.CREATE,
            StandardOpenOption.READ,
            StandardOpenOption.WRITE)) {
      WalkerGuest guest = new WalkerGuestBuilder(MEMORY_BYTES, 2, 7).writeTo(memory);
      LayoutFile.write(path("layout"), guest.layout());
      Files.write(path("vcpus"), guest.vcpuStates());
    }
    return Daemon.start(
        directory,
        "source",
        List.of(),
        List.of(
            "source",
            "--listen",
            "127.0.0.1:0",
            "--memory",
            path("memory").toString(),
            "--layout",
            path("layout").toString(),
            "--vcpu-state",
            path("vcpus").toString(),
            "--ledger",
            path("ledger").toString(),
            "--control",
            path("source.sock").toString(),
            "--pause-stream",
            "--return-within",
            returnSeconds));
  }

  private Daemon startDestination() throws IOException {
    return startDestination("auto", "pause", 0);
  }

  private Daemon startDestination(String vcpu, String onSourceLoss, int afterSeconds)
      throws IOException {
    deadline.await("the source to listen", () -> status("source") != null);
    return Daemon.start(
        directory,
        "destination",
        List.of(),
        List.of(
            "destination",
            "--connect",
            "127.0.0.1:" + status("source").get("port").asInt(),
            "--ledger",
            path("arrived").toString(),
            "--control",
            path("destination.sock").toString(),
            "--vcpu",
            vcpu,
            "--guest-log",
            path("touched").toString(),
            "--on-source-loss",
            onSourceLoss,
            "--source-loss-after",
            Integer.toString(afterSeconds),
            "--handshake-timeout",
            "2",
            "--json"));
  }

  /** Null while nobody answers. */
  private JsonNode status(String daemon) {
    try {
      ControlMessage answer =
          ControlClient.send(path(daemon + ".sock"), new ControlMessage.StatusQuery());
      return JSON.readTree(((ControlMessage.Status) answer).json());
    } catch (IOException notYet) {
      return null;
    }
  }

  private boolean isIn(String phase, String daemon) {
    JsonNode status = status(daemon);
    return status != null && status.get("phase").asText().equals(phase);
  }

  @Test
  void aSourceThatIsKilledLeavesThePausedGuestVisibleAndIsNeverSuccess() throws IOException {
    try (Daemon source = startSource();
        Daemon destination = startDestination()) {
      deadline.await("the guest to run", () -> isIn("RUNNING", "destination"));

      source.close(); // SIGKILL
      deadline.await("the destination to notice", () -> isIn("UNFINISHED", "destination"));

      JsonNode pages = status("destination").get("pages");
      assertThat(pages.get("unresolved").asLong()).isPositive();
      assertTrue(destination.isAlive(), "the guest stays, paused, until somebody gives it up");
      destination.terminate();
      assertEquals(ExitCode.UNFINISHED_AFTER_RUN.code(), destination.await(deadline));
      assertThat(destination.errors()).contains("the guest is paused here", "never arrived");
      assertThat(JSON.readTree(destination.output()).get("exitCode").asInt())
          .isEqualTo(ExitCode.UNFINISHED_AFTER_RUN.code());
    }
  }

  /** Threads, not a guest: one that loses its own page tables or stack could not go on. */
  @Test
  void aSourceThatIsLostForGoodCostsTheGuestWhatNeverArrivedAndNothingElse() throws IOException {
    try (Daemon source = startSource();
        Daemon destination = startDestination("thread", "poison", 1)) {
      deadline.await("the guest to run", () -> isIn("RUNNING", "destination"));

      source.close(); // SIGKILL
      deadline.await("the policy to be applied", () -> isIn("COMPLETE", "destination"));

      assertEquals(ExitCode.SOURCE_LOST.code(), destination.await(deadline));
      JsonNode end = JSON.readTree(destination.output());
      JsonNode pages = end.get("status").get("pages");
      assertThat(pages.get("unresolved").asLong()).isZero();
      assertThat(pages.get("pagesPoisoned").asLong()).isPositive();
      assertEquals(pages.get("pagesPoisoned").asLong(), pagesMetAsPoison());
      assertThat(end.get("outcome").get("text").asText())
          .contains(
              "%d of the guest's %d pages had not arrived and are poison now"
                  .formatted(
                      pages.get("pagesPoisoned").asLong(), pages.get("pagesTotal").asLong()));
      assertThat(LedgerJournal.read(path("arrived")).ledger().pageCount())
          .isEqualTo(pages.get("pagesPoisoned").asLong());
    }
  }

  /** What the threads, which went on, say: thread, page, whether SIGBUS came, hash. */
  private long pagesMetAsPoison() throws IOException {
    return Files.readAllLines(path("touched")).stream()
        .map(line -> line.split(" "))
        .filter(words -> Boolean.parseBoolean(words[2]))
        .map(words -> words[1])
        .distinct()
        .count();
  }

  @Test
  void aSourceThatIsOnlyOutOfReachIsWaitedForByDefault() throws Exception {
    try (Daemon source = startSource();
        Daemon destination = startDestination("auto", "wait", 0)) {
      deadline.await("the guest to run", () -> isIn("RUNNING", "destination"));

      source.close(); // SIGKILL
      deadline.await("the destination to notice", () -> isIn("RECOVERING", "destination"));
      Thread.sleep(1_000); // longer than --source-loss-after

      assertTrue(isIn("RECOVERING", "destination"));
      destination.terminate();
      assertEquals(ExitCode.UNFINISHED_AFTER_RUN.code(), destination.await(deadline));
    }
  }

  /** TCP does not notice: the stopped daemon's kernel goes on to acknowledge. */
  @Test
  void aSourceThatStandsStillIsGivenUpAndFoundAgainWhenItGoesOn() throws IOException {
    try (Daemon source = startSource("600");
        Daemon destination = startDestination("thread", "wait", 0)) {
      deadline.await("the guest to run", () -> isIn("SERVING", "source"));

      source.signal("STOP");
      deadline.await("the destination to notice", () -> isIn("RECOVERING", "destination"));
      source.signal("CONT");
      deadline.await("the destination to be back", () -> isIn("RUNNING", "destination"));
      ControlClient.send(path("source.sock"), new ControlMessage.StreamControl(false));

      assertEquals(ExitCode.OK.code(), destination.await(deadline), destination::errors);
      assertEquals(ExitCode.OK.code(), source.await(deadline), source::errors);
      assertThat(destination.errors()).contains("has said nothing for 7 s");
    }
  }

  @Test
  void aDestinationThatIsKilledMakesTheSourceKeepItsCopy() throws IOException {
    try (Daemon source = startSource();
        Daemon destination = startDestination()) {
      deadline.await("the guest to run", () -> isIn("SERVING", "source"));

      destination.close(); // SIGKILL

      assertEquals(ExitCode.UNFINISHED_AFTER_RUN.code(), source.await(deadline));
      assertThat(source.errors()).contains("keep it, and do not start the guest here");
    }
  }

  @Test
  void aSourceThatIsToldToStopBeforeAnybodyCameSaysThatTheGuestIsWholeHere() throws IOException {
    try (Daemon source = startSource()) {
      deadline.await("the source to listen", () -> status("source") != null);

      source.terminate();

      assertEquals(ExitCode.UNFINISHED_BEFORE_RUN.code(), source.await(deadline));
      assertThat(source.errors()).contains("it is whole here");
    }
  }
}
