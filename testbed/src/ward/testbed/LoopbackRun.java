package ward.testbed;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.List;
import java.util.Optional;
import java.util.function.Consumer;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import ward.memory.PageSet;
import ward.poison.LedgerJournal;
import ward.testbed.lab.DirectoryTree;

/**
 * One migration between two real processes, checked from outside both.
 *
 * <p>The stream is held back until the guest has asked for some pages and the late poison has been
 * reported, so that both paths, and a loss in the middle, are part of every run.
 */
public final class LoopbackRun implements AutoCloseable {

  private static final int ANSWERS_BEFORE_LATE_POISON = 100;

  private final LoopbackSettings settings;
  private final Consumer<String> progress;
  private final Deadline deadline;
  private final Path directory;
  private final Network network;
  private final FileChannel memoryFile;
  private final WalkerGuest guest;
  private final MigrationSource source;
  private final MigrationDestination destination;
  private Interlude interlude = source -> {};
  private Detour detour = source -> source;
  private Ordeal atTheBeginning = source -> {};
  private Ordeal latePoison = MigrationSource::reportLatePoison;
  private Ordeal beforeTheStream = source -> {};
  private Ordeal inTheStream = source -> {};
  private JsonNode lastStatus;

  /**
   * Makes the guest and the network.
   *
   * @param progress hears what is being done, a line each
   */
  public LoopbackRun(LoopbackSettings settings, Consumer<String> progress) throws IOException {
    this(settings, progress, Network::make);
  }

  /** Makes the guest; for tests with a part of their own in the migration. */
  LoopbackRun(LoopbackSettings settings, Consumer<String> progress, Supply supply)
      throws IOException {
    this.settings = settings;
    this.progress = progress;
    this.deadline = new Deadline(settings.deadline());
    // Before anything is made: it refuses sizes that no guest can have.
    WalkerGuestBuilder builder = settings.guest();
    // Poison markers in the source's mapping need memory that userfaultfd can register: tmpfs.
    directory = Files.createTempDirectory(Path.of("/dev/shm"), "ward-loopback-");
    memoryFile =
        FileChannel.open(
            directory.resolve("memory"),
            StandardOpenOption.CREATE,
            StandardOpenOption.READ,
            StandardOpenOption.WRITE);
    progress.accept("making a guest of %d MiB".formatted(settings.memoryBytes() >> 20));
    guest = builder.writeTo(memoryFile);
    network = supply.network();
    source = new MigrationSource(settings, directory, network.sourcePrefix(), guest, progress);
    destination = new MigrationDestination(settings, directory, network.destinationPrefix());
    deadline.watch(this::requireBothWell);
  }

  /** Where the network comes from. */
  interface Supply {
    Network network() throws IOException;
  }

  /** Something that happens while the source waits. */
  interface Interlude {
    void happen(InetSocketAddress source) throws IOException;
  }

  /**
   * Only where the source is in this process's network.
   *
   * @param what when the guest has walked at the source, before the destination starts
   */
  void beforeTheDestination(Interlude what) {
    interlude = what;
  }

  /** What the destination takes for its source. */
  interface Detour {
    InetSocketAddress around(InetSocketAddress source) throws IOException;
  }

  /** Only where both daemons are in this process's network. */
  void takeDetour(Detour through) {
    detour = through;
  }

  /** Something that happens to the source. */
  interface Ordeal {
    void happen(MigrationSource source) throws IOException;
  }

  /**
   * @param what once the destination has been started
   */
  void whenTheDestinationComes(Ordeal what) {
    atTheBeginning = what;
  }

  /**
   * @param how what is lost late is made known
   */
  void reportLatePoisonBy(Ordeal how) {
    latePoison = how;
  }

  /**
   * @param what when the guest has asked for pages and late poison has been reported
   */
  void beforeTheStream(Ordeal what) {
    beforeTheStream = what;
  }

  /**
   * @param what once the stream runs; a source that was replaced streams nothing until it is told
   */
  void inTheStream(Ordeal what) {
    inTheStream = what;
  }

  /** For all that is waited for. */
  Deadline deadline() {
    return deadline;
  }

  /** Holds every file of the run. */
  Path directory() {
    return directory;
  }

  /** What the destination said of itself when all was over. */
  JsonNode lastStatus() {
    return lastStatus;
  }

  /** What the source says of itself. */
  JsonNode sourceStatus() throws IOException {
    return source.status();
  }

  /** Waits until every vCPU has done a whole pass at the source from now on. */
  void awaitMoreWalksAtSource() throws IOException {
    long now = walksAtSource();
    deadline.await(
        "more walks at the source", () -> walksAtSource() >= now + 2L * settings.vcpus());
  }

  private long walksAtSource() throws IOException {
    return Witness.reports(List.of(source.guestLog())).passes().size();
  }

  /** For tests: the destination's process is gone at once. */
  void killDestination() {
    destination.kill();
  }

  /** For tests: the source's process is gone at once. */
  void killSource() {
    source.kill();
  }

  /**
   * Runs it; what went wrong in the migration is in the result, what kept it from running is
   * thrown.
   *
   * @throws IOException as soon as one of the daemons has ended without success: which one, its
   *     exit code and the last lines of its log
   */
  public LoopbackResult run() throws IOException {
    try {
      return migrate();
    } catch (IOException e) {
      // What broke because a daemon is gone tells less than its end.
      requireBothWell();
      throw e;
    }
  }

  private void requireBothWell() throws IOException {
    String failures =
        Stream.of(destination.failure(), source.failure())
            .flatMap(Optional::stream)
            .collect(Collectors.joining(System.lineSeparator()));
    if (!failures.isEmpty()) {
      throw new IOException(failures);
    }
  }

  private LoopbackResult migrate() throws IOException {
    source.start(network.sourceAddress(), 0, "loopback-source", deadline);
    InetSocketAddress listening = new InetSocketAddress(network.sourceAddress(), source.port());
    interlude.happen(listening);
    progress.accept("starting the destination");
    InetSocketAddress entrance = detour.around(listening);
    destination.start(
        entrance.getAddress().getHostAddress() + ":" + entrance.getPort(), "loopback-destination");
    atTheBeginning.happen(source);
    source.awaitAnswers(ANSWERS_BEFORE_LATE_POISON, deadline, destination::requireRunning);
    latePoison.happen(source);
    beforeTheStream.happen(source);
    source.stream();
    progress.accept("the guest walks its memory; the stream runs");
    inTheStream.happen(source);
    JsonNode status = destination.awaitEnd(deadline);
    lastStatus = status;
    requireBothWell(); // also where the destination noticed first
    progress.accept("comparing every page");
    PageSet lost = settings.lostWith(source.lost());
    MigrationDestination.Evidence evidence =
        destination.examine(status, guest, memoryFile, lost, source.guestLog());
    int destinationCode = destination.end(deadline);
    int sourceCode = source.await(deadline);
    return new LoopbackVerdict(settings, guest, lost, network.description())
        .result(
            new LoopbackVerdict.Observations(
                status,
                evidence.comparison(),
                evidence.witness(),
                LedgerJournal.read(source.ledger()).ledger(),
                LedgerJournal.read(destination.ledger()).ledger(),
                source.late(),
                source.lateHeld(),
                sourceCode,
                destinationCode,
                source.injected()));
  }

  /** Both daemons' standard error: what to read after a failure. */
  public String logs() {
    return source.errors() + System.lineSeparator() + destination.errors();
  }

  /** The last lines of both. */
  String lastWords() {
    return "ward source:%n%s%nward destination:%n%s"
        .formatted(source.lastWords(), destination.lastWords());
  }

  @Override
  public void close() throws IOException {
    destination.close();
    source.close();
    memoryFile.close();
    network.close();
    DirectoryTree.delete(directory);
  }
}
