package ward.testbed;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import ward.memory.PageSet;

/** The other end: a {@code ward destination}, and what can be seen of the memory it filled. */
final class MigrationDestination implements AutoCloseable {

  private final LoopbackSettings settings;
  private final Path directory;
  private final List<String> prefix;
  private Daemon daemon;

  /**
   * @param directory gets everything that is made
   * @param prefix what runs a process on this host, perhaps nothing
   */
  MigrationDestination(LoopbackSettings settings, Path directory, List<String> prefix) {
    this.settings = settings;
    this.directory = directory;
    this.prefix = prefix;
  }

  void start(String source, String name) throws IOException {
    List<String> command = new ArrayList<>(List.of("destination", "--keep", "--json"));
    command.addAll(List.of("--connect", source, "--host", name));
    command.addAll(List.of("--handshake-timeout", Daemon.HANDSHAKE_SECONDS));
    command.addAll(List.of("--ledger", ledger().toString()));
    command.addAll(List.of("--vcpu", settings.vcpu(), "--marker", settings.marker()));
    command.addAll(List.of("--threads", Integer.toString(settings.vcpus())));
    command.addAll(List.of("--seed", Long.toString(settings.seed())));
    command.addAll(List.of("--control", control().toString()));
    command.addAll(List.of("--guest-log", guestLog().toString()));
    command.addAll(settings.options());
    daemon = Daemon.start(directory, "destination", prefix, command);
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

  /**
   * @throws IOException if the daemon has ended
   */
  void requireRunning() throws IOException {
    Optional<String> end = daemon.end();
    if (end.isPresent()) {
      throw new IOException(end.get());
    }
  }

  /** Null while the daemon does not answer yet. */
  private JsonNode status() throws IOException {
    return daemon.status(control());
  }

  /** What was seen without a word from the daemon, and what the guest says. */
  record Evidence(OutsideView.Comparison comparison, Witness witness) {}

  /**
   * Looks at every page from outside, against the file that the source served.
   *
   * @param status the last
   * @param sourceLog what the guest said at the source; read only if it ran there
   */
  Evidence examine(
      JsonNode status, WalkerGuest guest, FileChannel sourceFile, PageSet lost, Path sourceLog)
      throws IOException {
    try (OutsideView view = view(status, guest)) {
      PageSet changed = settings.awake() ? changedPages(guest) : new PageSet();
      OutsideView.Comparison comparison = view.compare(guest, sourceFile, lost, changed);
      return new Evidence(comparison, witness(status, guest, sourceFile, lost, sourceLog));
    }
  }

  /** The pages that are in place in a guest that is paused, against the source's file. */
  OutsideView.Arrived examineArrived(JsonNode status, WalkerGuest guest, FileChannel sourceFile)
      throws IOException {
    try (OutsideView view = view(status, guest)) {
      return view.compareArrived(guest, sourceFile);
    }
  }

  private OutsideView view(JsonNode status, WalkerGuest guest) throws IOException {
    List<Long> addresses = new ArrayList<>();
    status
        .get("regions")
        .forEach(region -> addresses.add(Long.decode(region.get("hostAddress").asText())));
    return new OutsideView(daemon.pid(), guest.layout(), addresses, settings.isHuge());
  }

  /** What the guest has written at the destination; a stack is also written where it is wiped. */
  private static PageSet changedPages(WalkerGuest guest) {
    PageSet changed = guest.stackPages().copy();
    changed.addAll(guest.counterPages());
    return changed;
  }

  private Witness witness(
      JsonNode status, WalkerGuest guest, FileChannel sourceFile, PageSet lost, Path sourceLog)
      throws IOException {
    if (settings.awake()) {
      PageSet fromTheStart = PoisonPlan.draw(guest, settings).fromTheStart();
      return new MovedWitness(guest, sourceFile, lost, fromTheStart)
          .judge(
              Witness.reports(List.of(sourceLog, guestLog())), Witness.reports(List.of(sourceLog)));
    }
    return status.get("vcpu").asText().equals("kvm")
        ? Witness.ofGuest(guestLog(), guest, sourceFile, lost)
        : Witness.ofThreads(guestLog(), guest, sourceFile, lost);
  }

  /** The exit code of a daemon that ends by itself. */
  int await(Deadline deadline) throws IOException {
    return daemon.await(deadline);
  }

  /** Ends the daemon; its exit code. */
  int end(Deadline deadline) throws IOException {
    daemon.terminate();
    return daemon.await(deadline);
  }

  /** Why the daemon ended, if that was no success; empty while it runs, or does not yet. */
  Optional<String> failure() {
    return daemon == null ? Optional.empty() : daemon.failure();
  }

  /** SIGKILL. */
  void kill() {
    daemon.kill();
  }

  /** What the daemon logged. */
  String errors() {
    return daemon == null ? "" : daemon.errors();
  }

  /** The end of that. */
  String lastWords() {
    return daemon == null ? "" : daemon.lastLines();
  }

  @Override
  public void close() {
    if (daemon != null) {
      daemon.close();
    }
  }
}
