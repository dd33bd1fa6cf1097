package ward.testbed;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.function.Consumer;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import ward.cli.ControlClient;
import ward.cli.LayoutFile;
import ward.kernel.NativeKernel;
import ward.memory.Pages;
import ward.poison.LedgerJournal;
import ward.poison.Origin;
import ward.poison.PoisonEntry;
import ward.poison.Severity;
import ward.testbed.lab.DirectoryTree;
import ward.testbed.linux.LinuxGuest;
import ward.testbed.linux.LinuxGuestBuilder;
import ward.testbed.linux.LinuxTranscript;
import ward.testbed.linux.LinuxTranscript.Course;
import ward.wire.ControlMessage;

/**
 * One migration of a Linux guest between two real processes: it boots at the source, loses a page
 * there, moves, and one of its programs touches the page at the destination. Needs a KVM that runs
 * a distribution's kernel.
 */
public final class LinuxMigration implements AutoCloseable {

  /** How the page is lost at the source. */
  public enum Loss {
    /** The host's memory breaks under it, and nobody tells Ward. */
    HWPOISON,
    /** Someone tells Ward, over its control socket. */
    REPORTED,
    /** The memory of the guest's new host breaks, as soon as the page is there. */
    HWPOISON_AT_DESTINATION
  }

  /**
   * @param memoryBytes of the guest
   * @param course with a warning, the guest polls for one, and the destination announces losses
   * @param deadline for everything together
   */
  public record Settings(
      Path kernel, long memoryBytes, Loss loss, Course course, Duration deadline) {}

  /**
   * What was seen.
   *
   * @param failures why the run failed, a line each; empty if it did not
   * @param consumed how often the destination told the guest that it had met a loss
   * @param announced how many losses it announced to it
   */
  public record Result(
      Loss loss,
      Course course,
      long memoryBytes,
      int sourceCode,
      int destinationCode,
      long consumed,
      long announced,
      JsonNode status,
      List<String> transcript,
      int linesAtSource,
      List<String> failures) {}

  private static final ObjectMapper JSON = new ObjectMapper();
  private static final Pattern LISTENING = Pattern.compile("listening on /127\\.0\\.0\\.1:(\\d+)");
  private static final int ATTEMPTS_MAX = 4;

  /** The destination's exit code after which the guest is still at the source. */
  private static final int UNFINISHED_BEFORE_RUN = 6;

  /** A machine that is emulated on a busy one needs more than the ten that are usual. */
  private static final String HANDSHAKE_SECONDS = "60";

  private static final int ALIVE_BEFORE = 3;
  private static final int ALIVE_BETWEEN = 4;
  private static final int ALIVE_AFTER = 5;

  private final Settings settings;
  private final Consumer<String> progress;
  private final Deadline deadline;
  private final Path directory;
  private final LinuxGuest guest;
  private Daemon source;
  private Daemon destination;

  /**
   * Makes the guest.
   *
   * @param progress hears what is being done, a line each
   */
  public LinuxMigration(Settings settings, Consumer<String> progress) throws IOException {
    this.settings = settings;
    this.progress = progress;
    this.deadline = new Deadline(settings.deadline());
    // The running guest's mapping may lose pages: tmpfs.
    this.directory = Files.createTempDirectory(Path.of("/dev/shm"), "ward-linux-");
    this.guest = makeGuest();
    LayoutFile.write(path("layout.json"), guest.layout());
    Files.write(path("vcpus"), guest.vcpuStates());
    for (String name : List.of("source", "destination")) {
      Files.createFile(console(name));
      Files.createFile(typed(name));
    }
  }

  private LinuxGuest makeGuest() throws IOException {
    LinuxGuestBuilder builder =
        new LinuxGuestBuilder("linux", settings.memoryBytes(), settings.kernel())
            .processorOf(NativeKernel.load());
    if (settings.course() == Course.WARNED) {
      builder.pollingForErrors();
    }
    try (FileChannel file =
        FileChannel.open(path("memory"), StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE)) {
      return builder.writeTo(file);
    }
  }

  private Path path(String name) {
    return directory.resolve(name);
  }

  private Path console(String daemon) {
    return path(daemon + ".console");
  }

  private Path typed(String daemon) {
    return path(daemon + ".typed");
  }

  /**
   * Runs it; what the guest did wrong is in the result, what kept it from running is thrown.
   *
   * @throws IOException naming what did not come in time
   */
  public Result run() throws IOException {
    startSource();
    await("the guest to boot", () -> transcript().aliveCount() >= ALIVE_BEFORE);
    type("source", "report");
    await("the guest's report at the source", () -> transcript().hasReportedBeforeTheMove());
    losePageAtSource();
    if (settings.course() == Course.WARNED && settings.loss() == Loss.HWPOISON) {
      awaitRecovery();
    }
    await("the source to listen", () -> listeningPort().isPresent());
    int moved = move();
    if (settings.loss() == Loss.HWPOISON_AT_DESTINATION) {
      losePageAtDestination();
    }
    await("the guest to count on", () -> transcript().aliveCount() >= moved + ALIVE_BETWEEN);
    if (settings.course() == Course.WARNED) {
      awaitRecovery();
      type("destination", "report");
      await("the guest's report", () -> transcript().hasReportedAfterTheMove());
    }
    type("destination", "touch");
    await("the victim to end", () -> transcript().hasVictimEnded());
    await("the guest's report", () -> transcript().hasReportedAfterTheMove());
    int reported = transcript().aliveCount();
    await("the guest to count on", () -> transcript().aliveCount() >= reported + ALIVE_AFTER);
    type("destination", "off");
    int destinationCode = destination.await(deadline);
    return result(source.await(deadline), destinationCode);
  }

  /**
   * The guest boots at the source, and is told there by an SError, as an operator asks for it.
   *
   * @return its console, up to the line that was waited for
   * @throws IOException if that does not come in time
   */
  public List<String> tellBySError(String expected) throws IOException {
    startSource();
    await("the guest to boot", () -> transcript().aliveCount() >= ALIVE_BEFORE);
    progress.accept("raising an SError");
    ControlClient.send(path("source.sock"), new ControlMessage.RaiseSError(0, 0));
    // The guest's end may end the source before anybody has looked.
    deadline.await(expected, () -> text("source").contains(expected));
    return transcript().lines();
  }

  private void awaitRecovery() throws IOException {
    await("the kernel to take the page out of use", () -> transcript().hasRecovered());
  }

  private void startSource() throws IOException {
    List<String> command = new ArrayList<>(List.of("source", "--run", "--json"));
    command.addAll(List.of("--listen", "127.0.0.1:0", "--host", "linux-source"));
    command.addAll(List.of("--memory", path("memory").toString()));
    command.addAll(List.of("--layout", path("layout.json").toString()));
    command.addAll(List.of("--vcpu-state", path("vcpus").toString()));
    progress.accept("starting the source");
    source = start("source", command);
  }

  private void startDestination() throws IOException {
    String port = listeningPort().orElseThrow();
    List<String> command = new ArrayList<>(List.of("destination", "--vcpu", "kvm", "--json"));
    command.addAll(List.of("--connect", "127.0.0.1:" + port, "--host", "linux-destination"));
    if (settings.course() == Course.WARNED) {
      command.add("--announce-poison");
    }
    progress.accept("starting the destination");
    destination = start("destination", command);
  }

  /** From the log: an emulated machine can be too busy for questions. */
  private Optional<String> listeningPort() {
    Matcher line = LISTENING.matcher(source.errors());
    return line.find() ? Optional.of(line.group(1)) : Optional.empty();
  }

  private Daemon start(String name, List<String> command) throws IOException {
    command.addAll(List.of("--handshake-timeout", HANDSHAKE_SECONDS));
    command.addAll(List.of("--ledger", ledger(name).toString()));
    command.addAll(List.of("--control", path(name + ".sock").toString()));
    command.addAll(List.of("--console", console(name).toString()));
    command.addAll(List.of("--console-input", typed(name).toString()));
    return Daemon.start(directory, name, List.of(), command);
  }

  private Path ledger(String daemon) {
    return path("ledger-" + daemon);
  }

  private void losePageAtSource() throws IOException {
    long page = lostPage();
    switch (settings.loss()) {
      case HWPOISON -> breakPage(HostPage.of(source.pid(), path("memory"), offset(page)));
      case REPORTED -> {
        report(page);
        progress.accept("reported GPA 0x%x lost".formatted(page));
      }
      case HWPOISON_AT_DESTINATION -> {}
    }
  }

  private void losePageAtDestination() throws IOException {
    JsonNode[] status = new JsonNode[1];
    await(
        "the destination's status",
        () -> {
          status[0] = destination.status(path("destination.sock"));
          return status[0] != null;
        });
    long region = Long.decode(status[0].get("regions").get(0).get("hostAddress").asText());
    long address = region + offset(lostPage());
    await("the page to come", () -> HostPage.at(destination.pid(), address).isPresent());
    breakPage(HostPage.at(destination.pid(), address).orElseThrow());
  }

  private void breakPage(HostPage page) throws IOException {
    page.breakIt();
    progress.accept("broke %s, which is GPA 0x%x".formatted(page, lostPage()));
  }

  private long lostPage() throws IOException {
    return transcript().victim().orElseThrow().page();
  }

  /** Of a page in the memory's file: RAM is one piece. */
  private long offset(long address) {
    return Pages.bytes(guest.layout().pageAt(address).orElseThrow());
  }

  private void report(long page) throws IOException {
    Origin origin = new Origin("linux-source", Instant.now(), Origin.Discovery.REPORTED);
    PoisonEntry entry =
        new PoisonEntry(page, PoisonEntry.MIN_PAGE_SHIFT, Severity.ACTION_REQUIRED, origin);
    ControlMessage report = new ControlMessage.ReportPoison(List.of(entry));
    Optional<String> refusal = refusal(report);
    for (int attempt = 1; refusal.isPresent(); attempt++) {
      if (attempt == ATTEMPTS_MAX) {
        throw new IOException("the source takes no report: " + refusal.get());
      }
      progress.accept("the source took no report: " + refusal.get());
      refusal = refusal(report);
    }
  }

  /** To report a loss twice changes nothing; on a busy machine the answer may be late. */
  private Optional<String> refusal(ControlMessage report) {
    try {
      ControlClient.send(path("source.sock"), report);
      return Optional.empty();
    } catch (IOException e) {
      return Optional.of(e.getMessage());
    }
  }

  /**
   * A machine that emulates three at once can be too slow for a handshake; the guest is still at
   * the source then, and another destination may come.
   *
   * @return how far the guest had counted when it left
   */
  private int move() throws IOException {
    startDestination();
    for (int attempt = 1; !hasMoved(); attempt++) {
      int code = destination.await(deadline);
      String words =
          "the destination gave up (%d): %s".formatted(code, destination.errors().strip());
      if (code != UNFINISHED_BEFORE_RUN || attempt == ATTEMPTS_MAX) {
        throw new IOException(words);
      }
      progress.accept(words);
      startDestination();
    }
    int count = LinuxTranscript.of(text("source"), "").aliveCount();
    progress.accept("the guest runs at the destination");
    return count;
  }

  /** Waits until the guest speaks there, or the destination has left it where it was. */
  private boolean hasMoved() throws IOException {
    deadline.await(
        "the guest to speak at the destination",
        () -> !text("destination").isEmpty() || !destination.isAlive());
    return !text("destination").isEmpty();
  }

  private void await(String what, Deadline.Condition condition) throws IOException {
    deadline.await(
        what,
        () -> {
          requireAlive(source, "source");
          requireAlive(destination, "destination");
          return condition.holds();
        });
  }

  /** A source that has handed its guest over may go; one that still has it may not. */
  private void requireAlive(Daemon daemon, String name) throws IOException {
    boolean mayEnd = daemon == source && destination != null;
    if (daemon != null && !mayEnd && !daemon.isAlive()) {
      throw new IOException("the %s ended early".formatted(name));
    }
  }

  private LinuxTranscript transcript() throws IOException {
    return LinuxTranscript.of(text("source"), text("destination"));
  }

  private String text(String daemon) throws IOException {
    return Files.readString(console(daemon), StandardCharsets.ISO_8859_1);
  }

  private void type(String daemon, String line) throws IOException {
    progress.accept("typing \"%s\" at the %s".formatted(line, daemon));
    Files.writeString(typed(daemon), line + "\n", StandardOpenOption.APPEND);
  }

  private Result result(int sourceCode, int destinationCode) throws IOException {
    LinuxTranscript transcript = transcript();
    List<String> failures = new ArrayList<>(transcript.failures(settings.course()));
    if (sourceCode != 0 || destinationCode != 0) {
      failures.add(
          "exit codes %d of the source and %d of the destination; 0 and 0 are right"
              .formatted(sourceCode, destinationCode));
    }
    JsonNode status = JSON.readTree(destination.output()).path("status");
    long consumed = consumed(status);
    long announced = status.path("announcedPages").asLong();
    boolean isWarned = settings.course() == Course.WARNED;
    // What is lost there is found by the host, not announced.
    long toAnnounce = isWarned && settings.loss() != Loss.HWPOISON_AT_DESTINATION ? 1 : 0;
    if (consumed != (isWarned ? 0 : 1) || announced != toAnnounce) {
      failures.add(
          "the destination told the guest of %d losses that it met and %d that it did not, which is"
                  .formatted(consumed, announced)
              + " not %s".formatted(settings.course()));
    }
    checkLedgers(failures);
    return new Result(
        settings.loss(),
        settings.course(),
        settings.memoryBytes(),
        sourceCode,
        destinationCode,
        consumed,
        announced,
        status,
        transcript.lines(),
        transcript.linesAtSource(),
        failures);
  }

  /** Not among them: what the host had found earlier, and the guest heard of or not. */
  private static long consumed(JsonNode status) {
    return status.path("memoryErrors").findValuesAsText("severity").stream()
        .filter(Severity.ACTION_REQUIRED.name()::equals)
        .count();
  }

  private void checkLedgers(List<String> failures) throws IOException {
    long page = lostPage();
    for (String daemon : List.of("source", "destination")) {
      boolean mayKnow =
          daemon.equals("destination") || settings.loss() != Loss.HWPOISON_AT_DESTINATION;
      var ledger = LedgerJournal.read(ledger(daemon)).ledger();
      if (ledger.frames().size() != (mayKnow ? 1 : 0) || ledger.contains(page) != mayKnow) {
        failures.add(
            "the ledger of the %s is %s; it should hold %s"
                .formatted(daemon, ledger, mayKnow ? "GPA 0x%x alone".formatted(page) : "nothing"));
      }
    }
  }

  /** Both consoles and both daemons' standard error: what to read after a failure. */
  public String logs() {
    List<String> logs = new ArrayList<>();
    try {
      logs.add(transcript().toString());
    } catch (IOException e) {
      logs.add(e.toString());
    }
    for (Daemon daemon : new Daemon[] {source, destination}) {
      if (daemon != null) {
        logs.add(daemon.errors());
        logs.add(daemon.output());
      }
    }
    return String.join(System.lineSeparator(), logs);
  }

  @Override
  public void close() throws IOException {
    for (Daemon daemon : new Daemon[] {destination, source}) {
      if (daemon != null) {
        daemon.close();
      }
    }
    DirectoryTree.delete(directory);
  }
}
