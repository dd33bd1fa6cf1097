package ward.testbed;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import ward.cli.LayoutFile;
import ward.memory.GuestLayout;
import ward.memory.PageSet;
import ward.poison.LedgerJournal;
import ward.testbed.lab.DirectoryTree;

/**
 * A migration into the memory of another process ({@link Holder}), whose daemons may die, one after
 * the other. Judged from outside, by the memory of that process.
 */
final class OwnedRun implements AutoCloseable {

  final LoopbackSettings settings;
  final Deadline deadline;
  final Path directory;
  final WalkerGuest guest;
  final MigrationSource source;
  private final Network network = Network.plain("the memory belongs to another process");
  private final FileChannel memoryFile;
  private final List<Daemon> daemons = new ArrayList<>();
  private HolderProcess holder;
  private InetSocketAddress entrance;

  OwnedRun(LoopbackSettings settings) throws IOException {
    this.settings = settings;
    deadline = new Deadline(settings.deadline());
    WalkerGuestBuilder builder = settings.guest();
    directory = Files.createTempDirectory(Path.of("/dev/shm"), "ward-owned-");
    memoryFile =
        FileChannel.open(
            directory.resolve("memory"),
            StandardOpenOption.CREATE,
            StandardOpenOption.READ,
            StandardOpenOption.WRITE);
    guest = builder.writeTo(memoryFile);
    source =
        new MigrationSource(settings, directory, network.sourcePrefix(), guest, progress -> {});
  }

  /** Starts the source, and the process that will own the memory. */
  void begin() throws IOException {
    begin(guest.layout());
  }

  /**
   * @param owned what memory the other process makes
   */
  void begin(GuestLayout owned) throws IOException {
    source.start(network.sourceAddress(), 0, "owned-source", deadline);
    entrance = new InetSocketAddress(network.sourceAddress(), source.port());
    startHolder(owned);
  }

  /** Another source in the place of one that has ended, for the same guest. */
  void sourceAgain() throws IOException {
    source.await(deadline);
    source.start(network.sourceAddress(), 0, "owned-source", deadline);
    entrance = new InetSocketAddress(network.sourceAddress(), source.port());
  }

  private void startHolder(GuestLayout owned) throws IOException {
    Files.deleteIfExists(directory.resolve("owner.sock"));
    LayoutFile.write(directory.resolve("owned.json"), owned);
    holder = HolderProcess.start(directory, directory.resolve("owned.json"), settings);
    deadline.await("the memory's owner to listen", () -> holder.hasSaid("listening"));
  }

  HolderProcess holder() {
    return holder;
  }

  /** Puts a link between the two daemons that fails as the test says; the caller closes it. */
  FaultyLink linkInBetween() throws IOException {
    FaultyLink link = new FaultyLink(entrance);
    entrance = link.address();
    return link;
  }

  /** Starts the next daemon. */
  Daemon startDaemon(String... more) throws IOException {
    return startDaemonBy(List.of(), more);
  }

  /**
   * @param prefix what runs it
   */
  Daemon startDaemonBy(List<String> prefix, String... more) throws IOException {
    List<String> command = new ArrayList<>(List.of("destination", "--json", "--keep"));
    command.addAll(List.of("--memory-owner", holder.socket().toString()));
    command.addAll(
        List.of("--connect", entrance.getAddress().getHostAddress() + ":" + entrance.getPort()));
    command.addAll(List.of("--handshake-timeout", Daemon.HANDSHAKE_SECONDS));
    command.addAll(List.of("--host", "owned-destination-" + (daemons.size() + 1)));
    if (!List.of(more).contains("--ledger")) {
      command.addAll(List.of("--ledger", ledger().toString()));
    }
    command.addAll(List.of("--control", control().toString()));
    command.addAll(List.of(more));
    Files.deleteIfExists(control());
    Daemon daemon = Daemon.start(directory, "destination-" + (daemons.size() + 1), prefix, command);
    daemons.add(daemon);
    return daemon;
  }

  /** SIGKILL of the present daemon. */
  void killDaemon() {
    daemons.get(daemons.size() - 1).kill();
  }

  private Path ledger() {
    return directory.resolve("ledger-destination");
  }

  private Path control() {
    return directory.resolve("destination.sock");
  }

  /** What the present daemon says of itself; null while it does not answer. */
  JsonNode status() throws IOException {
    return daemons.get(daemons.size() - 1).status(control());
  }

  void requireRunning() throws IOException {
    Daemon last = daemons.get(daemons.size() - 1);
    if (!last.isAlive()) {
      throw new IOException(last.end().orElseThrow());
    }
  }

  /** Until the guest runs in the owner and has asked for pages. */
  void awaitAnswers(long answers) throws IOException {
    source.awaitAnswers(answers, deadline, this::requireRunning);
  }

  /** Lets the source send what nobody asks for; where the guest has asked for all, it has ended. */
  void stream() throws IOException {
    try {
      source.stream();
    } catch (IOException e) {
      if (source.await(deadline) != 0) {
        throw e;
      }
    }
  }

  /** Until the present daemon misses no more than a part of the pages. */
  void awaitUnresolvedBelow(double part) throws IOException {
    deadline.await(
        "pages to come",
        () -> {
          JsonNode status = status();
          return status != null
              && status.get("pages").get("pagesTotal").asLong() > 0
              && status.get("pages").get("unresolved").asLong() < part * guest.layout().pageCount();
        });
  }

  /** Until the present daemon is in a phase. */
  void awaitPhase(String phase) throws IOException {
    deadline.await(
        "phase " + phase,
        () -> {
          JsonNode status = status();
          return status != null && status.get("phase").asText().equals(phase);
        });
  }

  /** Waits until the present daemon has everything, and the guest's threads have read it. */
  void awaitEnd() throws IOException {
    awaitPhase("COMPLETE");
    holder.hurry();
    deadline.await("the guest's threads to end", () -> holder.hasSaid("exited POWERED_OFF"));
  }

  /** Waits until the memory's owner has said a line that begins so. */
  void awaitOwnerSays(String words) throws IOException {
    deadline.await(
        "the memory's owner to say " + words,
        () -> holder.said().stream().anyMatch(line -> line.startsWith(words)));
  }

  /** Waits until the present daemon's log has a text in it. */
  void awaitLog(String text) throws IOException {
    Daemon last = daemons.get(daemons.size() - 1);
    deadline.await("the log to say " + text, () -> last.errors().contains(text));
  }

  /** Waits until all is over, compares every page from outside, and ends the daemon. */
  LoopbackResult verdict() throws IOException {
    return verdict(new PageSet());
  }

  /**
   * @param givenBack page indexes; of a healthy one a thread reads the source's bytes or zeros
   */
  LoopbackResult verdict(PageSet givenBack) throws IOException {
    awaitEnd();
    JsonNode status = status();
    PageSet changed = givenBack.copy();
    changed.removeAll(source.lost());
    OutsideView.Comparison comparison;
    try (OutsideView view = view(status)) {
      comparison = view.compare(guest, memoryFile, source.lost(), changed);
    }
    Witness witness = Witness.ofThreads(touchesWithout(changed), guest, memoryFile, source.lost());
    Daemon last = daemons.get(daemons.size() - 1);
    last.terminate();
    int code = last.await(deadline);
    return new LoopbackVerdict(settings, guest, source.lost(), network.description())
        .result(
            new LoopbackVerdict.Observations(
                status,
                comparison,
                witness,
                LedgerJournal.read(source.ledger()).ledger(),
                LedgerJournal.read(ledger()).ledger(),
                source.late(),
                source.lateHeld(),
                source.await(deadline),
                code));
  }

  /** What threads read, where zeros from a page that was given back are as good as its bytes. */
  private Path touchesWithout(PageSet givenBack) throws IOException {
    List<String> lines = new ArrayList<>();
    for (String line : Files.readAllLines(holder.touches())) {
      String[] words = line.split(" ");
      long page = Long.parseLong(words[1]);
      boolean zeros = givenBack.contains(page) && words[3].equals(zeroHash(page));
      String expected = "%016x".formatted(guest.expectedHash(memoryFile, page));
      lines.add(zeros ? String.join(" ", words[0], words[1], words[2], expected) : line);
    }
    return Files.write(directory.resolve("touches-compared"), lines);
  }

  /** What a thread reads in a page of zeros. */
  String zeroHash(long page) {
    return "%016x"
        .formatted(WalkerHash.of(ByteBuffer.allocate(4096), guest.layout().addressOf(page)));
  }

  private OutsideView view(JsonNode status) throws IOException {
    List<Long> addresses = new ArrayList<>();
    status
        .get("regions")
        .forEach(region -> addresses.add(Long.decode(region.get("hostAddress").asText())));
    return new OutsideView(holder.pid(), guest.layout(), addresses);
  }

  /** What everybody logged. */
  String logs() {
    StringBuilder logs = new StringBuilder(source.errors());
    daemons.forEach(daemon -> logs.append("--- daemon\n").append(daemon.errors()));
    return logs.append("--- holder\n").append(holder == null ? "" : holder.errors()).toString();
  }

  @Override
  public void close() throws IOException {
    daemons.forEach(Daemon::close);
    if (holder != null) {
      holder.close();
    }
    source.close();
    memoryFile.close();
    network.close();
    DirectoryTree.delete(directory);
  }
}
