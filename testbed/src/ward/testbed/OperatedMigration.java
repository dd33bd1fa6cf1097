package ward.testbed;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assertions.assertEquals;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.io.TempDir;
import ward.cli.ControlClient;
import ward.cli.ExitCode;
import ward.cli.LayoutFile;
import ward.wire.ConnectionKind;
import ward.wire.ControlMessage;

/** What operators are tested with: two daemons, and the commands that speak to them. */
abstract class OperatedMigration {

  private static final ObjectMapper JSON = new ObjectMapper();
  static final long MEMORY_BYTES = 16 << 20;
  private static final int VCPUS = 1;
  private static final String LOST = "0x200000";

  /** Longer than any test. */
  private static final Fault.Effect HELD = new Fault.Stall(Duration.ofMinutes(5));

  @TempDir Path directory;

  final Deadline deadline = new Deadline(Duration.ofSeconds(150));
  private final List<AutoCloseable> open = new ArrayList<>();
  WalkerGuest guest;
  Daemon source;
  Daemon destination;

  @AfterEach
  void end() throws Exception {
    for (AutoCloseable each : open) {
      each.close();
    }
  }

  <T extends AutoCloseable> T kept(T daemon) {
    open.add(daemon);
    return daemon;
  }

  Path path(String name) {
    return directory.resolve(name);
  }

  void startSource(boolean running, String... more) throws IOException {
    WalkerGuestBuilder builder = new WalkerGuestBuilder(MEMORY_BYTES, VCPUS, 7);
    if (running) {
      builder.walkingUntilMoved().reading(400); // a pass takes milliseconds
    }
    // Where the guest runs with losses, its memory is on tmpfs.
    Path memory = Files.createTempFile(Path.of("/dev/shm"), "ward-operator-", "");
    kept(() -> Files.delete(memory));
    try (FileChannel file = FileChannel.open(memory, StandardOpenOption.WRITE)) {
      guest = builder.writeTo(file);
      LayoutFile.write(path("layout"), guest.layout());
      Files.write(path("vcpus"), guest.vcpuStates());
    }
    List<String> command =
        new ArrayList<>(
            List.of("source", "--listen", "127.0.0.1:0", "--pause-stream", "--json", "--memory"));
    command.addAll(List.of(memory.toString(), "--layout", path("layout").toString()));
    command.addAll(List.of("--vcpu-state", path("vcpus").toString()));
    command.addAll(List.of("--ledger", path("ledger").toString()));
    command.addAll(List.of("--control", path("source.sock").toString()));
    command.addAll(List.of(more));
    if (running) {
      command.addAll(List.of("--run", "--guest-log", path("walk").toString()));
    }
    source = kept(Daemon.start(directory, "source", List.of(), command));
    deadline.watch(() -> {});
    deadline.await("the source to listen", () -> status("source") != null);
    if (running) {
      awaitMoreWalks();
    }
  }

  void declareLoss() throws IOException {
    WalkerGuest shape =
        new WalkerGuestBuilder(MEMORY_BYTES, VCPUS, 7)
            .writeTo(
                kept(
                    FileChannel.open(
                        path("shape"),
                        StandardOpenOption.CREATE,
                        StandardOpenOption.READ,
                        StandardOpenOption.WRITE)));
    LayoutFile.write(path("layout"), shape.layout());
    String ledger = path("ledger").toString();
    assertEquals(
        0,
        Order.give(
                List.of(
                    "ledger",
                    "add",
                    "--ledger",
                    ledger,
                    "--layout",
                    path("layout").toString(),
                    LOST))
            .await(deadline));
  }

  InetSocketAddress listening() throws IOException {
    return new InetSocketAddress(
        InetAddress.getLoopbackAddress(), status("source").get("port").asInt());
  }

  FaultyLink link() throws IOException {
    return kept(new FaultyLink(listening()));
  }

  /** So that the guest does not get all of its pages before the test has looked. */
  FaultyLink slowLink() throws IOException {
    FaultyLink link = link();
    link.delay(Duration.ofMillis(50));
    return link;
  }

  void startDestination(InetSocketAddress at) throws IOException {
    startDestination(at, "destination");
  }

  void startDestination(InetSocketAddress at, String name, String... more) throws IOException {
    List<String> command =
        new ArrayList<>(List.of("destination", "--connect", "127.0.0.1:" + at.getPort()));
    command.addAll(List.of("--ledger", path(name + "-ledger").toString()));
    command.addAll(List.of("--control", path(name + ".sock").toString(), "--json"));
    command.addAll(List.of(more));
    destination = kept(Daemon.start(directory, name, List.of(), command));
  }

  /** Gives a command as an operator does. */
  Order order(String command, String daemon, String... more) {
    List<String> words =
        new ArrayList<>(List.of(command, "--control", path(daemon + ".sock").toString()));
    words.addAll(List.of(more));
    return Order.give(words);
  }

  /** Null while nobody answers. */
  JsonNode status(String daemon) {
    try {
      ControlMessage answer =
          ControlClient.send(path(daemon + ".sock"), new ControlMessage.StatusQuery());
      return JSON.readTree(((ControlMessage.Status) answer).json());
    } catch (IOException notYet) {
      return null;
    }
  }

  void awaitPhase(String phase, String daemon) throws IOException {
    deadline.await(
        daemon + " in phase " + phase,
        () -> {
          JsonNode status = status(daemon);
          return status != null && status.get("phase").asText().equals(phase);
        });
  }

  long walks() throws IOException {
    return Witness.reports(List.of(path("walk"))).passes().size();
  }

  void awaitMoreWalks() throws IOException {
    long now = walks();
    deadline.await("the guest to walk on at the source", () -> walks() >= now + 2L * VCPUS);
  }

  static Fault stop(ConnectionKind kind, LinkDirection direction, Fault.Trigger where) {
    return new Fault(kind, direction, where, HELD, 1);
  }

  void cancel(String daemon) throws IOException {
    Order cancel = order("cancel", daemon, "--reason", "too slow");

    assertEquals(0, cancel.await(deadline), cancel::errors);
    assertThat(cancel.output()).contains("cancelled by an operator: too slow");
  }

  void requireRefused(Order command, String... words) throws IOException {
    assertEquals(ExitCode.PEER_REFUSED.code(), command.await(deadline), command::output);
    assertThat(command.errors()).contains(words);
  }

  void requireRefused(Order command, ExitCode code, String words) throws IOException {
    assertEquals(code.code(), command.await(deadline), command::output);
    assertThat(command.errors()).contains(words);
  }
}
