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
import ward.memory.PageSet;
import ward.testing.HugePages;
import ward.testing.RequiresKvm;
import ward.vcpu.VcpuStates;
import ward.wire.ControlMessage;

/** A guest that runs at the source until somebody takes it, in two real processes. */
@RequiresKvm
@Timeout(value = 4, unit = TimeUnit.MINUTES)
class MovedGuestScenario {

  private static final ObjectMapper JSON = new ObjectMapper();
  private static final long MEMORY_BYTES = 64 << 20;
  private static final int VCPUS = 2;
  private static final long SEED = 13;

  @TempDir Path directory;

  private final Deadline deadline = new Deadline(Duration.ofMinutes(3));

  private Path path(String name) {
    return directory.resolve(name);
  }

  private static LoopbackSettings settings() {
    return new LoopbackSettings(
        MEMORY_BYTES, VCPUS, 5, 6, 4, SEED, "kvm", "auto", true, Duration.ofMinutes(3));
  }

  @Test
  void aGuestGoesOnAtTheDestinationWhereItWasStoppedAtTheSource() throws IOException {
    assertGoesOnWhereItWasStopped(settings());
  }

  @Test
  void itGoesOnInAMemfdAsWell() throws IOException {
    assertGoesOnWhereItWasStopped(settings().with("--memory", "memfd"));
  }

  @Test
  void itGoesOnInHugePagesAsWell() throws IOException {
    LoopbackSettings whole =
        new LoopbackSettings(
            32 << 20, VCPUS, 0, 0, 0, SEED, "kvm", "auto", true, Duration.ofMinutes(3));
    try (HugePages reserved = HugePages.reserve(16);
        LoopbackRun run = new LoopbackRun(whole.with("--memory", "hugetlb"), line -> {})) {
      LoopbackResult result = run.run();

      assertEquals(List.of(), result.failures(), run::logs);
      assertTrue(result.guestMoved());
    }
  }

  private static void assertGoesOnWhereItWasStopped(LoopbackSettings settings) throws IOException {
    try (LoopbackRun run = new LoopbackRun(settings, line -> {})) {
      LoopbackResult result = run.run();

      assertEquals(List.of(), result.failures(), run::logs);
      assertTrue(result.guestMoved());
      assertEquals(15, result.pagesPoisoned());
    }
  }

  /** What it did in between is part of the one unbroken walk that the verdict demands. */
  @Test
  void aGuestThatADestinationDidNotTakeRunsOnAtTheSourceAndTheNextOneTakesIt() throws IOException {
    LoopbackRun.Supply here = () -> Network.plain("the first destinations are in this process");
    try (LoopbackRun run = new LoopbackRun(settings(), line -> {}, here)) {
      JsonNode[] afterwards = new JsonNode[1];
      run.beforeTheDestination(
          address -> {
            for (int i = 0; i < 2; i++) {
              try (FickleDestination fickle = new FickleDestination(address)) {
                assertThat(VcpuStates.parse(fickle.hearAllAndLeave(deadline)).vcpus())
                    .hasSize(VCPUS);
              }
              int attempts = i + 1;
              deadline.await(
                  "the source to take the guest back",
                  () -> {
                    afterwards[0] = run.sourceStatus();
                    return afterwards[0].get("attempts").asInt() == attempts
                        && afterwards[0].get("phase").asText().equals("LISTENING");
                  });
            }
            run.awaitMoreWalksAtSource();
          });

      LoopbackResult result = run.run();

      assertEquals(List.of(), result.failures(), run::logs);
      assertEquals("running", afterwards[0].get("guest").asText());
    }
  }

  @Test
  void aGuestThatEndsBeforeAnybodyCameEndsTheSourceWithItsOwnCode() throws IOException {
    WalkerGuest guest = makeGuest();
    try (Daemon source = startSource()) {
      assertEquals(ExitCode.GUEST_ENDED_HERE.code(), source.await(deadline), source::errors);

      assertThat(source.errors()).contains("every vCPU switched itself off", "nothing left");
      JsonNode result = JSON.readTree(source.output());
      assertEquals(ExitCode.GUEST_ENDED_HERE.code(), result.get("exitCode").asInt());
      assertEquals("ended", result.get("status").get("guest").asText());
    }
    WalkerReports reports = Witness.reports(List.of(path("guest.log")));
    assertThat(reports.unexpected()).isEmpty();
    try (FileChannel memory = FileChannel.open(path("memory"))) {
      assertThat(reports.passes())
          .hasSize(2 * VCPUS)
          .allSatisfy(
              pass ->
                  assertEquals(guest.expectedSum(memory, pass.vcpu(), new PageSet()), pass.sum()));
    }
  }

  @Test
  void aSourceThatIsStoppedSaysThatItsGuestEndsWithIt() throws IOException {
    makeGuest(new WalkerGuestBuilder(MEMORY_BYTES, VCPUS, SEED).walkingUntilMoved());
    try (Daemon source = startSource()) {
      deadline.await("the source to listen", () -> Files.exists(path("source.sock")));
      deadline.await("the guest to run", () -> status().get("guest").asText().equals("running"));

      source.terminate();

      assertEquals(ExitCode.UNFINISHED_BEFORE_RUN.code(), source.await(deadline), source::errors);
      assertThat(source.errors()).contains("it ran in this process, and ends with it");
    }
  }

  private WalkerGuest makeGuest() throws IOException {
    return makeGuest(new WalkerGuestBuilder(MEMORY_BYTES, VCPUS, SEED));
  }

  private WalkerGuest makeGuest(WalkerGuestBuilder builder) throws IOException {
    try (FileChannel memory =
        FileChannel.open(
            path("memory"),
            StandardOpenOption.CREATE,
            StandardOpenOption.READ,
            StandardOpenOption.WRITE)) {
      WalkerGuest guest = builder.writeTo(memory);
      LayoutFile.write(path("layout"), guest.layout());
      Files.write(path("vcpus"), guest.vcpuStates());
      return guest;
    }
  }

  private Daemon startSource() throws IOException {
    return Daemon.start(
        directory,
        "source",
        List.of(),
        List.of(
            "source",
            "--run",
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
            "--guest-log",
            path("guest.log").toString(),
            "--control",
            path("source.sock").toString(),
            "--json"));
  }

  private JsonNode status() throws IOException {
    ControlMessage answer =
        ControlClient.send(path("source.sock"), new ControlMessage.StatusQuery());
    return JSON.readTree(((ControlMessage.Status) answer).json());
  }
}
