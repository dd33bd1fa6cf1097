package ward.testbed;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.FutureTask;
import java.util.function.Consumer;
import ward.cli.ControlClient;
import ward.cli.LayoutFile;
import ward.memory.PageSet;
import ward.memory.Pages;
import ward.poison.LedgerJournal;
import ward.poison.Origin;
import ward.poison.PoisonEntry;
import ward.poison.PoisonLedger;
import ward.poison.Severity;
import ward.wire.ControlMessage;

/** One end of a migration of the walker guest: a {@code ward source} and the losses it meets. */
final class MigrationSource implements AutoCloseable {

  private static final ObjectMapper JSON = new ObjectMapper();
  private static final String NAME = "source";
  private static final int LATE_ROUNDS = 8;

  private final LoopbackSettings settings;
  private final Path directory;
  private final List<String> prefix;
  private final Consumer<String> progress;
  private final WalkerGuest guest;
  private final PoisonPlan plan;
  private final PageSet lost = new PageSet();
  private int late;
  private int lateHeld;
  private int incarnation; // processes before this one
  private long injectedBefore;
  private List<String> arguments = List.of(); // where it listens, and its name
  private String epitaphs = "";
  private Deadline deadline; // since it was started
  private Daemon daemon;

  /**
   * @param directory holds the guest's memory in a file {@code memory}, and gets everything else
   * @param prefix what runs a process on this host, perhaps nothing
   * @param progress hears what is being done
   */
  MigrationSource(
      LoopbackSettings settings,
      Path directory,
      List<String> prefix,
      WalkerGuest guest,
      Consumer<String> progress)
      throws IOException {
    this.settings = settings;
    this.directory = directory;
    this.prefix = prefix;
    this.progress = progress;
    this.guest = guest;
    this.plan = PoisonPlan.draw(guest, settings);
    LayoutFile.write(path("layout.json"), guest.layout());
    Files.write(path("vcpus"), guest.vcpuStates());
  }

  /**
   * Declares what is known to be lost and starts the daemon; it streams nothing yet. If the guest
   * runs here first, waits until it has.
   *
   * @param port 0 for any
   */
  void start(String address, int port, String name, Deadline deadline) throws IOException {
    this.deadline = deadline;
    declare(deadline);
    progress.accept("starting the source");
    begin(address, port, name, settings.awake(), deadline);
    if (settings.awake()) {
      progress.accept("the guest runs at the source");
      deadline.await("every vCPU to have walked at the source", this::hasWalked);
    }
  }

  private void begin(String address, int port, String name, boolean run, Deadline deadline)
      throws IOException {
    arguments = List.of(address, name);
    daemon = Daemon.start(directory, NAME, prefix, command(address, port, name, run));
    deadline.await("the source to listen", () -> status() != null);
  }

  /**
   * SIGKILL, and then another process on the same port, memory and ledger, that goes on.
   *
   * @param meanwhile what happens while there is none; it hears the port
   */
  void replace(Interregnum meanwhile, Deadline deadline) throws IOException {
    JsonNode last = status();
    progress.accept("killing the source in phase " + last.get("phase").asText());
    injectedBefore += last.get("machineChecksInjected").asLong();
    daemon.kill();
    epitaphs += "ward source, process %d, killed:%n%s%n".formatted(++incarnation, daemon.errors());
    int port = last.get("port").asInt();
    meanwhile.happen(port);
    progress.accept("starting the source again");
    begin(arguments.get(0), port, arguments.get(1), false, deadline);
  }

  /** While no source is there. */
  interface Interregnum {
    void happen(int port) throws IOException;
  }

  /** How it is started where the guest does not run at the source. */
  List<String> command(int port) {
    return command(arguments.get(0), port, arguments.get(1), false);
  }

  private boolean hasWalked() throws IOException {
    return Witness.reports(List.of(guestLog())).passes().stream()
            .map(WalkerReports.PassDone::vcpu)
            .distinct()
            .count()
        == settings.vcpus();
  }

  /** Where the daemon listens. */
  int port() throws IOException {
    return status().get("port").asInt();
  }

  /** What the guest said here; only if it ran here. */
  Path guestLog() {
    return path("source-guest.log");
  }

  /** Machine checks that the guest got here, by the daemon's last word. */
  long injected() throws IOException {
    return injectedBefore
        + JSON.readTree(daemon.output()).path("status").path("machineChecksInjected").asLong();
  }

  Path ledger() {
    return path("ledger-source");
  }

  private Path path(String name) {
    return directory.resolve(name);
  }

  private void declare(Deadline deadline) throws IOException {
    if (plan.declared().isEmpty()) {
      return;
    }
    List<String> command =
        new ArrayList<>(List.of("ledger", "add", "--ledger", ledger().toString(), "--layout"));
    command.add(path("layout.json").toString());
    plan.declared().forEach(page -> command.add(gpa(page)));
    Order add = Order.give(command);
    if (add.await(deadline) != 0) {
      throw new IOException("ward ledger add failed: " + add.errors());
    }
    plan.declared().forEach(lost::add);
  }

  private String gpa(long page) {
    return "0x%x".formatted(guest.layout().addressOf(page));
  }

  private List<String> command(String address, int port, String name, boolean run) {
    List<String> command = new ArrayList<>(List.of("source", "--pause-stream", "--json"));
    command.addAll(List.of("--listen", address + ":" + port, "--host", name));
    command.addAll(List.of("--handshake-timeout", Daemon.HANDSHAKE_SECONDS));
    command.addAll(List.of("--memory", path("memory").toString()));
    command.addAll(List.of("--layout", path("layout.json").toString()));
    command.addAll(List.of("--ledger", ledger().toString()));
    command.addAll(List.of("--vcpu-state", path("vcpus").toString()));
    command.addAll(List.of("--control", path("source.sock").toString()));
    if (run) {
      command.addAll(List.of("--run", "--guest-log", guestLog().toString()));
    }
    if (!plan.found().isEmpty()) {
      command.add("--inject-unreadable");
      command.add(String.join(",", plan.found().stream().map(this::gpa).toList()));
      plan.found().forEach(lost::add);
    }
    return command;
  }

  /**
   * Until the guest runs elsewhere and has asked for so many pages.
   *
   * @param stillPossible throws if it will never be
   */
  void awaitAnswers(long answers, Deadline deadline, Check stillPossible) throws IOException {
    deadline.await(
        "the guest to ask for %d pages".formatted(answers),
        () -> {
          stillPossible.check();
          return hasAnswered(answers);
        });
  }

  /** Something that has to be so. */
  interface Check {
    void check() throws IOException;
  }

  private boolean hasAnswered(long answers) throws IOException {
    JsonNode status = status();
    return status != null
        && status.get("phase").asText().equals("SERVING")
        && status.get("answered").asLong() >= answers;
  }

  /** Reports pages until enough of them were not at the destination yet. */
  void reportLatePoison() throws IOException {
    int next = 0;
    for (int round = 0; round < LATE_ROUNDS && late < settings.late(); round++) {
      int end = Math.min(next + settings.late() - late, plan.lateCandidates().size());
      report(plan.lateCandidates().subList(next, end));
      next = end;
    }
    if (late < settings.late()) {
      progress.accept(
          "only %d of %d pages could be lost late: the guest had the others"
              .formatted(late, settings.late()));
    }
  }

  private void report(List<Long> pages) throws IOException {
    progress.accept("reporting %d pages lost while the source serves".formatted(pages.size()));
    Origin origin = new Origin("testbed", Instant.now(), Origin.Discovery.REPORTED);
    List<PoisonEntry> entries = pages.stream().map(page -> entry(page, origin)).toList();
    ControlMessage.ReportPoisonResult result =
        (ControlMessage.ReportPoisonResult) answerTo(new ControlMessage.ReportPoison(entries));
    result
        .poisoned()
        .forEach(frame -> lost.add(guest.layout().pageAt(frame << Pages.SHIFT).orElseThrow()));
    late += (int) result.poisoned().size();
    lateHeld += (int) result.held().size();
  }

  /** Where the destination is gone, that is seen before the command's own patience ends. */
  private ControlMessage answerTo(ControlMessage command) throws IOException {
    FutureTask<ControlMessage> answer = new FutureTask<>(() -> control(command));
    Thread asking = new Thread(answer, "asking");
    asking.setDaemon(true);
    asking.start();
    deadline.await("an answer of the source", answer::isDone);
    try {
      return answer.get();
    } catch (ExecutionException e) {
      throw new IOException(e.getCause().getMessage(), e.getCause());
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IOException("interrupted", e);
    }
  }

  private PoisonEntry entry(long page, Origin origin) {
    long address = guest.layout().addressOf(page);
    return new PoisonEntry(address, PoisonEntry.MIN_PAGE_SHIFT, Severity.ACTION_REQUIRED, origin);
  }

  /**
   * Reports pages to a source whose destination does not hear of it any more, and that will not
   * live to answer. They count as lost once its ledger has them.
   */
  void reportInVain(Deadline deadline) throws IOException {
    List<Long> pages = plan.lateCandidates().subList(0, settings.late());
    progress.accept("reporting %d pages lost, unheard by the destination".formatted(pages.size()));
    Origin origin = new Origin("testbed", Instant.now(), Origin.Discovery.REPORTED);
    List<PoisonEntry> entries = pages.stream().map(page -> entry(page, origin)).toList();
    Thread reporter =
        new Thread(() -> awaitNoAnswer(new ControlMessage.ReportPoison(entries)), "reporter");
    reporter.setDaemon(true);
    reporter.start();
    deadline.await("the ledger to have them", () -> isInLedger(entries));
    pages.forEach(lost::add);
    late += pages.size();
  }

  private void awaitNoAnswer(ControlMessage.ReportPoison report) {
    try {
      control(report);
      progress.accept("a report was answered that nobody can have heard");
    } catch (IOException asItShouldBe) {
      progress.accept("the report was not answered");
    }
  }

  private boolean isInLedger(List<PoisonEntry> entries) throws IOException {
    PoisonLedger known = LedgerJournal.read(ledger()).ledger();
    return entries.stream().allMatch(entry -> known.contains(entry.guestPhysicalAddress()));
  }

  /** Lets it send what nobody has asked for yet. */
  void stream() throws IOException {
    control(new ControlMessage.StreamControl(false));
  }

  private ControlMessage control(ControlMessage command) throws IOException {
    return ControlClient.send(path("source.sock"), command);
  }

  /** What the daemon says of itself; null while it does not answer yet. */
  JsonNode status() throws IOException {
    return daemon.status(path("source.sock"));
  }

  /** The daemon's exit code. */
  int await(Deadline deadline) throws IOException {
    return daemon.await(deadline);
  }

  /** Indexes of all pages that are lost by now. */
  PageSet lost() {
    return lost;
  }

  /** How many were lost while the source served. */
  int late() {
    return late;
  }

  /** How many were reported too late to matter. */
  int lateHeld() {
    return lateHeld;
  }

  /** Why the daemon ended, if that was no success; empty while it runs, or does not yet. */
  Optional<String> failure() {
    return daemon == null ? Optional.empty() : daemon.failure();
  }

  /** SIGKILL. */
  void kill() {
    daemon.kill();
  }

  /** What the daemon logged, and those before it. */
  String errors() {
    return daemon == null ? "" : epitaphs + daemon.errors();
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
