package ward.testbed;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import ward.cli.ControlClient;
import ward.memory.PageSet;
import ward.wire.ControlMessage;

/** The other end: a {@code ward destination}, and what can be seen of the memory it filled. */
final class MigrationDestination implements AutoCloseable {

  private static final ObjectMapper JSON = new ObjectMapper();

  private final LoopbackSettings settings;
  private final Path directory;
  private Daemon daemon;

  MigrationDestination(LoopbackSettings settings, Path directory) {
    this.settings = settings;
    this.directory = directory;
  }

  void start(String source, String name) throws IOException {
    List<String> command = new ArrayList<>(List.of("destination", "--keep", "--json"));
    command.addAll(List.of("--connect", source, "--host", name));
    command.addAll(List.of("--ledger", ledger().toString()));
    command.addAll(List.of("--vcpu", settings.vcpu(), "--marker", settings.marker()));
    command.addAll(List.of("--threads", Integer.toString(settings.vcpus())));
    command.addAll(List.of("--seed", Long.toString(settings.seed())));
    command.addAll(List.of("--control", control().toString()));
    command.addAll(List.of("--guest-log", guestLog().toString()));
    daemon = Daemon.start(directory, "destination", List.of(), command);
  }

  Path ledger() {
    return directory.resolve("ledger-destination");
  }

  private Path control() {
    return directory.resolve("destination.sock");
  }

  private Path guestLog() {
    return directory.resolve("guest.log");
  }

  /** Waits until all pages are there and the guest has nothing more to do; the last status. */
  JsonNode awaitEnd(Deadline deadline) throws IOException {
    JsonNode[] last = new JsonNode[1];
    deadline.await(
        "the migration and the guest to end",
        () -> {
          last[0] = status();
          return last[0] != null && isOver(last[0]);
        });
    return last[0];
  }

  private static boolean isOver(JsonNode status) {
    String phase = status.get("phase").asText();
    return phase.equals("UNFINISHED")
        || phase.equals("COMPLETE") && status.get("guestEnded").asBoolean();
  }

  /** Null while the daemon does not answer yet. */
  private JsonNode status() throws IOException {
    if (!daemon.isAlive()) {
      throw new IOException(
          "ward destination ended early; its last words:%n%s".formatted(errors()));
    }
    try {
      ControlMessage answer = ControlClient.send(control(), new ControlMessage.StatusQuery());
      return JSON.readTree(((ControlMessage.Status) answer).json());
    } catch (IOException notListeningYet) {
      return null;
    }
  }

  /** Every page against the file that the source served, by /proc. */
  OutsideView.Comparison compare(
      JsonNode status, WalkerGuest guest, FileChannel sourceFile, PageSet lost) throws IOException {
    List<Long> addresses = new ArrayList<>();
    status
        .get("regions")
        .forEach(region -> addresses.add(Long.decode(region.get("hostAddress").asText())));
    try (OutsideView view = new OutsideView(daemon.pid(), guest.layout(), addresses)) {
      return view.compare(guest, sourceFile, lost);
    }
  }

  /** What the guest says it met. */
  Witness witness(JsonNode status, WalkerGuest guest, FileChannel sourceFile, PageSet lost)
      throws IOException {
    return status.get("vcpu").asText().equals("kvm")
        ? Witness.ofGuest(guestLog(), guest, sourceFile, lost)
        : Witness.ofThreads(guestLog(), guest, sourceFile, lost);
  }

  /** Ends the daemon; its exit code. */
  int end(Deadline deadline) throws IOException {
    daemon.terminate();
    return daemon.await(deadline);
  }

  /** What the daemon logged. */
  String errors() {
    return daemon == null ? "" : daemon.errors();
  }

  @Override
  public void close() {
    if (daemon != null) {
      daemon.close();
    }
  }
}
