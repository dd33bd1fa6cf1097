package ward.testbed;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.function.Consumer;
import java.util.stream.Stream;
import ward.cli.ControlClient;
import ward.cli.LayoutFile;
import ward.memory.PageSet;
import ward.memory.Pages;
import ward.poison.LedgerJournal;
import ward.poison.Origin;
import ward.poison.PoisonEntry;
import ward.poison.Severity;
import ward.wire.ControlMessage;

/**
 * One migration between two real processes, checked from outside both.
 *
 * <p>The stream is held back until the guest has asked for some pages and the late poison has been
 * reported, so that both paths, and a loss in the middle, are part of every run.
 */
public final class LoopbackRun implements AutoCloseable {

  private static final ObjectMapper JSON = new ObjectMapper();
  private static final int ANSWERS_BEFORE_LATE_POISON = 100;
  private static final int LATE_ROUNDS = 8;

  private final LoopbackSettings settings;
  private final Consumer<String> progress;
  private final Deadline deadline;
  private final Path directory;
  private final Network network;
  private final FileChannel memoryFile;
  private final WalkerGuest guest;
  private final PoisonPlan plan;
  private final PageSet lost = new PageSet();
  private Interlude interlude = source -> {};
  private int lateCount;
  private int lateHeldCount;
  private Daemon source;
  private Daemon destination;

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
    WalkerGuestBuilder builder =
        new WalkerGuestBuilder(settings.memoryBytes(), settings.vcpus(), settings.seed());
    // Poison markers in the source's mapping need memory that userfaultfd can register: tmpfs.
    directory = Files.createTempDirectory(Path.of("/dev/shm"), "ward-loopback-");
    memoryFile =
        FileChannel.open(
            path("memory"),
            StandardOpenOption.CREATE,
            StandardOpenOption.READ,
            StandardOpenOption.WRITE);
    if (settings.awake()) {
      builder.walkingUntilMoved();
    }
    progress.accept("making a guest of %d MiB".formatted(settings.memoryBytes() >> 20));
    guest = builder.writeTo(memoryFile);
    plan = PoisonPlan.draw(guest, settings);
    network = supply.network();
    LayoutFile.write(path("layout.json"), guest.layout());
    Files.write(path("vcpus"), guest.vcpuStates());
  }

  private Path path(String name) {
    return directory.resolve(name);
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

  /** What the source says of itself. */
  JsonNode sourceStatus() throws IOException {
    return status("source", source);
  }

  /** Waits until every vCPU has done a whole pass at the source from now on. */
  void awaitMoreWalksAtSource() throws IOException {
    long now = walksAtSource();
    deadline.await(
        "more walks at the source", () -> walksAtSource() >= now + 2L * settings.vcpus());
  }

  private long walksAtSource() throws IOException {
    return Witness.reports(List.of(path("source-guest.log"))).passes().size();
  }

  /**
   * Runs it; what went wrong in the migration is in the result, what kept it from running is
   * thrown.
   */
  public LoopbackResult run() throws IOException {
    declare();
    startSource();
    interlude.happen(
        new InetSocketAddress(network.sourceAddress(), sourceStatus().get("port").asInt()));
    startDestination();
    reportLatePoison();
    control("source", new ControlMessage.StreamControl(false));
    JsonNode status = awaitEnd();
    Evidence evidence = examine(status);
    destination.terminate();
    int destinationCode = destination.await(deadline);
    int sourceCode = source.await(deadline);
    return new LoopbackVerdict(settings, guest, lost, network.description())
        .result(
            new LoopbackVerdict.Observations(
                status,
                evidence.comparison(),
                evidence.witness(),
                LedgerJournal.read(path("ledger-source")).ledger(),
                LedgerJournal.read(path("ledger-destination")).ledger(),
                lateCount,
                lateHeldCount,
                sourceCode,
                destinationCode,
                injectedAtSource()));
  }

  private record Evidence(OutsideView.Comparison comparison, Witness witness) {}

  private void declare() throws IOException {
    if (plan.declared().isEmpty()) {
      return;
    }
    List<String> command =
        new ArrayList<>(
            List.of(
                "ledger",
                "add",
                "--ledger",
                path("ledger-source").toString(),
                "--layout",
                path("layout.json").toString()));
    plan.declared().forEach(page -> command.add(gpa(page)));
    try (Daemon add = Daemon.start(directory, "ledger-add", List.of(), command)) {
      if (add.await(deadline) != 0) {
        throw new IOException("ward ledger add failed: " + add.errors());
      }
    }
    plan.declared().forEach(lost::add);
  }

  private String gpa(long page) {
    return "0x%x".formatted(guest.layout().addressOf(page));
  }

  private void startSource() throws IOException {
    List<String> command =
        new ArrayList<>(
            List.of(
                "source",
                "--listen",
                network.sourceAddress() + ":0",
                "--memory",
                path("memory").toString(),
                "--layout",
                path("layout.json").toString(),
                "--ledger",
                path("ledger-source").toString(),
                "--vcpu-state",
                path("vcpus").toString(),
                "--control",
                path("source.sock").toString(),
                "--host",
                "loopback-source",
                "--pause-stream",
                "--json"));
    if (settings.awake()) {
      command.addAll(List.of("--run", "--guest-log", path("source-guest.log").toString()));
    }
    if (!plan.found().isEmpty()) {
      command.add("--inject-unreadable");
      command.add(String.join(",", plan.found().stream().map(this::gpa).toList()));
      plan.found().forEach(lost::add);
    }
    progress.accept("starting the source");
    source = Daemon.start(directory, "source", network.sourcePrefix(), command);
    deadline.await("the source to listen", () -> status("source", source) != null);
    if (settings.awake()) {
      progress.accept("the guest runs at the source");
      deadline.await("every vCPU to have walked at the source", this::hasWalkedAtSource);
    }
  }

  private boolean hasWalkedAtSource() throws IOException {
    WalkerReports reports = Witness.reports(List.of(path("source-guest.log")));
    return reports.passes().stream().map(WalkerReports.PassDone::vcpu).distinct().count()
        == settings.vcpus();
  }

  private void startDestination() throws IOException {
    progress.accept("starting the destination");
    int port = status("source", source).get("port").asInt();
    destination =
        Daemon.start(
            directory,
            "destination",
            network.destinationPrefix(),
            List.of(
                "destination",
                "--connect",
                network.sourceAddress() + ":" + port,
                "--ledger",
                path("ledger-destination").toString(),
                "--vcpu",
                settings.vcpu(),
                "--marker",
                settings.marker(),
                "--threads",
                Integer.toString(settings.vcpus()),
                "--seed",
                Long.toString(settings.seed()),
                "--control",
                path("destination.sock").toString(),
                "--guest-log",
                path("guest.log").toString(),
                "--host",
                "loopback-destination",
                "--keep",
                "--json"));
    deadline.await(
        "the guest to run at the destination",
        () -> {
          JsonNode status = status("source", source);
          return status != null
              && status.get("phase").asText().equals("SERVING")
              && status.get("answered").asLong() >= ANSWERS_BEFORE_LATE_POISON;
        });
  }

  /** Reports pages until enough of them were not at the destination yet. */
  private void reportLatePoison() throws IOException {
    int next = 0;
    for (int round = 0; round < LATE_ROUNDS && lateCount < settings.late(); round++) {
      List<Long> pages = new ArrayList<>();
      while (pages.size() < settings.late() - lateCount && next < plan.lateCandidates().size()) {
        pages.add(plan.lateCandidates().get(next++));
      }
      report(pages);
    }
    if (lateCount < settings.late()) {
      progress.accept(
          "only %d of %d pages could be lost late: the guest had the others"
              .formatted(lateCount, settings.late()));
    }
  }

  private void report(List<Long> pages) throws IOException {
    progress.accept("reporting %d pages lost while the source serves".formatted(pages.size()));
    Origin origin = new Origin("loopback-source", Instant.now(), Origin.Discovery.REPORTED);
    List<PoisonEntry> entries =
        pages.stream()
            .map(
                page ->
                    new PoisonEntry(
                        guest.layout().addressOf(page),
                        PoisonEntry.MIN_PAGE_SHIFT,
                        Severity.ACTION_REQUIRED,
                        origin))
            .toList();
    ControlMessage answer = control("source", new ControlMessage.ReportPoison(entries));
    ControlMessage.ReportPoisonResult result = (ControlMessage.ReportPoisonResult) answer;
    result
        .poisoned()
        .forEach(frame -> lost.add(guest.layout().pageAt(frame << Pages.SHIFT).orElseThrow()));
    lateCount += (int) result.poisoned().size();
    lateHeldCount += (int) result.held().size();
  }

  private ControlMessage control(String daemon, ControlMessage command) throws IOException {
    return ControlClient.send(path(daemon + ".sock"), command);
  }

  /** Null while the daemon does not answer yet. */
  private JsonNode status(String name, Daemon daemon) throws IOException {
    if (!daemon.isAlive()) {
      throw new IOException(
          "ward %s ended early; its last words:%n%s".formatted(name, daemon.errors()));
    }
    if (!Files.exists(path(name + ".sock"))) {
      return null;
    }
    try {
      ControlMessage answer = control(name, new ControlMessage.StatusQuery());
      return JSON.readTree(((ControlMessage.Status) answer).json());
    } catch (IOException notListeningYet) {
      return null;
    }
  }

  private JsonNode awaitEnd() throws IOException {
    progress.accept("the guest walks its memory; the stream runs");
    JsonNode[] last = new JsonNode[1];
    deadline.await(
        "the migration and the guest to end",
        () -> {
          last[0] = status("destination", destination);
          return last[0] != null && isOver(last[0]);
        });
    return last[0];
  }

  private static boolean isOver(JsonNode status) {
    String phase = status.get("phase").asText();
    return phase.equals("UNFINISHED")
        || phase.equals("COMPLETE") && status.get("guestEnded").asBoolean();
  }

  private Evidence examine(JsonNode status) throws IOException {
    progress.accept("comparing every page");
    List<Long> addresses = new ArrayList<>();
    status
        .get("regions")
        .forEach(region -> addresses.add(Long.decode(region.get("hostAddress").asText())));
    try (OutsideView view = new OutsideView(destination.pid(), guest.layout(), addresses)) {
      OutsideView.Comparison comparison =
          view.compare(guest, memoryFile, lost, settings.awake() ? changedPages() : new PageSet());
      return new Evidence(comparison, witness(status));
    }
  }

  /** What the guest has written at the destination; a stack is also written where it is wiped. */
  private PageSet changedPages() {
    PageSet changed = guest.stackPages().copy();
    changed.addAll(guest.counterPages());
    return changed;
  }

  private Witness witness(JsonNode status) throws IOException {
    if (settings.awake()) {
      PageSet fromTheStart = new PageSet();
      plan.declared().forEach(fromTheStart::add);
      plan.found().forEach(fromTheStart::add);
      Path first = path("source-guest.log");
      return new MovedWitness(guest, memoryFile, lost, fromTheStart)
          .judge(
              Witness.reports(List.of(first, path("guest.log"))), Witness.reports(List.of(first)));
    }
    return status.get("vcpu").asText().equals("kvm")
        ? Witness.ofGuest(path("guest.log"), guest, memoryFile, lost)
        : Witness.ofThreads(path("guest.log"), guest, memoryFile, lost);
  }

  /** By the source's last word. */
  private long injectedAtSource() throws IOException {
    return JSON.readTree(source.output()).path("status").path("machineChecksInjected").asLong();
  }

  /** Both daemons' standard error: what to read after a failure. */
  public String logs() {
    StringBuilder logs = new StringBuilder();
    for (Daemon daemon : new Daemon[] {source, destination}) {
      if (daemon != null) {
        logs.append(daemon.errors()).append(System.lineSeparator());
      }
    }
    return logs.toString();
  }

  @Override
  public void close() throws IOException {
    for (Daemon daemon : new Daemon[] {destination, source}) {
      if (daemon != null) {
        daemon.close();
      }
    }
    memoryFile.close();
    network.close();
    try (Stream<Path> files = Files.walk(directory)) {
      for (Path file : files.sorted(Comparator.reverseOrder()).toList()) {
        Files.deleteIfExists(file);
      }
    }
  }
}
