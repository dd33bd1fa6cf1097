package ward.testbed;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.InetSocketAddress;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.stream.LongStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import ward.cli.ControlClient;
import ward.cli.ExitCode;
import ward.cli.LayoutFile;
import ward.poison.LedgerJournal;
import ward.poison.LedgerSnapshot;
import ward.poison.Origin;
import ward.poison.PoisonEntry;
import ward.poison.Severity;
import ward.wire.ConnectionKind;
import ward.wire.ControlMessage;

/** The disk of a ledger is full or cannot be written, at every moment at which that matters. */
@Timeout(value = 3, unit = TimeUnit.MINUTES)
class FullDiskScenario {

  private static final ObjectMapper JSON = new ObjectMapper();
  private static final long MEMORY_BYTES = 32 << 20;

  /** Their entries do not fit into the page that a ledger has when its disk is full. */
  private static final int LOSSES = 200;

  /**
   * Of a host's name, the longest: of entries with it 14 fit into the page of a disk that the first
   * one opens. The source may look at a page before the disk is full, to know the memory again.
   */
  private static final int HOST_CHARACTERS = 255;

  /** More than fit there, and fewer than a stream waits for. */
  private static final int UNREADABLE = 40;

  /** Which message on the control connection, the Hello being the first. */
  private static final int GUEST_RELEASED = 5;

  /** No page is left on the disk from then on. */
  private record Fill() implements Fault.Act {}

  private static final String FULL = "No space left on device";

  @TempDir Path directory;

  private final Deadline deadline = new Deadline(Duration.ofSeconds(150));
  private final List<Daemon> daemons = new ArrayList<>();
  private SmallDisk disk;
  private Path memoryFile; // on tmpfs: pages of it can be made unreadable
  private WalkerGuest guest;

  @BeforeEach
  void makeGuest() throws IOException {
    assumeTrue("root".equals(System.getProperty("user.name")), "mount(2) takes root");
    memoryFile = Files.createTempFile(Path.of("/dev/shm"), "ward-full-", ".memory");
    disk = SmallDisk.mount(directory.resolve("small"), "size=64k");
    try (FileChannel memory =
        FileChannel.open(
            memoryFile,
            StandardOpenOption.CREATE,
            StandardOpenOption.READ,
            StandardOpenOption.WRITE)) {
      guest = new WalkerGuestBuilder(MEMORY_BYTES, 1, 7).writeTo(memory);
    }
    LayoutFile.write(path("layout"), guest.layout());
  }

  @AfterEach
  void end() throws IOException {
    daemons.forEach(Daemon::close);
    if (memoryFile != null) {
      Files.delete(memoryFile);
    }
    if (disk != null) {
      disk.close();
    }
  }

  private Path path(String name) {
    return directory.resolve(name);
  }

  private Daemon source(Path ledger, String... more) throws IOException {
    List<String> arguments =
        new ArrayList<>(
            List.of(
                "source",
                "--listen",
                "127.0.0.1:0",
                "--memory",
                memoryFile.toString(),
                "--layout",
                path("layout").toString(),
                "--ledger",
                ledger.toString(),
                "--control",
                path("source.sock").toString()));
    arguments.addAll(List.of(more));
    return start("source", arguments);
  }

  private Daemon destination(Path ledger, String... more) throws IOException {
    deadline.await("the source to listen", this::isListening);
    int port = status("source").get("port").asInt();
    return destination(new InetSocketAddress("127.0.0.1", port), ledger, more);
  }

  private Daemon destination(InetSocketAddress source, Path ledger, String... more)
      throws IOException {
    List<String> arguments =
        new ArrayList<>(
            List.of(
                "destination",
                "--connect",
                "127.0.0.1:" + source.getPort(),
                "--ledger",
                ledger.toString(),
                "--control",
                path("destination.sock").toString(),
                "--vcpu",
                "thread"));
    arguments.addAll(List.of(more));
    return start("destination", arguments);
  }

  private boolean isListening() throws IOException {
    Optional<String> end = daemons.get(0).end();
    if (end.isPresent()) {
      throw new IOException(end.get());
    }
    return status("source") != null;
  }

  /** Both see the small disk. */
  private Daemon start(String name, List<String> arguments) throws IOException {
    Daemon daemon = Daemon.start(directory, name, disk.prefix(), arguments);
    daemons.add(daemon);
    return daemon;
  }

  /** Null while nobody answers. */
  private JsonNode status(String daemon) {
    try {
      return JSON.readTree(
          ((ControlMessage.Status) send(daemon, new ControlMessage.StatusQuery())).json());
    } catch (IOException notYet) {
      return null;
    }
  }

  private ControlMessage send(String daemon, ControlMessage command) throws IOException {
    return ControlClient.send(path(daemon + ".sock"), command);
  }

  private boolean isIn(String phase, String daemon) {
    JsonNode status = status(daemon);
    return status != null && status.get("phase").asText().equals(phase);
  }

  /** Each found in another millisecond: what has that in common takes hardly any room. */
  private List<PoisonEntry> losses(int count) {
    Instant first = Instant.now().minusSeconds(60);
    return LongStream.range(0, count)
        .mapToObj(
            i ->
                new PoisonEntry(
                    guest.layout().addressOf(guest.layout().pageCount() - 1 - 2 * i),
                    PoisonEntry.MIN_PAGE_SHIFT,
                    Severity.ACTION_REQUIRED,
                    new Origin("testbed", first.plusMillis(i), Origin.Discovery.REPORTED)))
        .toList();
  }

  /**
   * Puts a ledger of the guest on the small disk.
   *
   * @param endsWithItsPage whether its file ends where a page of the disk does
   */
  private void makeLedger(String name, boolean endsWithItsPage) throws IOException {
    Path ledger = path("draft");
    makeDraft(ledger, endsWithItsPage);
    Files.createDirectory(disk.outside(name));
    Files.copy(ledger.resolve("journal"), disk.outside(name).resolve("journal"));
    Files.createFile(disk.outside(name).resolve("lock"));
  }

  private void makeDraft(Path ledger, boolean endsWithItsPage) throws IOException {
    try (LedgerJournal journal = LedgerJournal.open(ledger, guest.layout().guest())) {
      while (endsWithItsPage && bytesToTheNextPage(ledger) > 0) {
        journal.append(List.of(loss(journal, bytesToTheNextPage(ledger))));
      }
    }
  }

  private static long bytesToTheNextPage(Path ledger) throws IOException {
    return -Files.size(ledger.resolve("journal")) & (SmallDisk.PAGE_BYTES - 1);
  }

  /** Of so many bytes, if that can be; of fewer if not. */
  private PoisonEntry loss(LedgerJournal journal, long bytes) {
    int frame = 17 + 19; // of a record, without its host
    long host = bytes <= 200 ? bytes - frame : 40;
    long page = 3 * (1 + journal.ledger().pageCount());
    return new PoisonEntry(
        guest.layout().addressOf(page),
        PoisonEntry.MIN_PAGE_SHIFT,
        Severity.ACTION_REQUIRED,
        new Origin("h".repeat((int) host), Instant.now(), Origin.Discovery.DECLARED));
  }

  private void assertEndedWell(Daemon source, Daemon destination, Path sourceLedger, Path arrived)
      throws IOException {
    assertEquals(ExitCode.OK.code(), destination.await(deadline), destination::errors);
    assertEquals(ExitCode.OK.code(), source.await(deadline), source::errors);
    LedgerSnapshot here = LedgerJournal.read(sourceLedger);
    LedgerSnapshot there = LedgerJournal.read(arrived);
    assertEquals(here.ledger().digest(), there.ledger().digest());
    assertThat(here.ledger().pageCount()).isPositive();
  }

  @Test
  void aSourceThatCannotMakeItsLedgerDoesNotStart() throws IOException {
    disk.fill();

    Daemon source = source(disk.inside("ledger"));

    assertEquals(ExitCode.HOST_REFUSED.code(), source.await(deadline));
    assertThat(source.errors()).contains(disk.inside("ledger").toString(), FULL);
  }

  @Test
  void aLedgerOnAReadOnlyDiskIsRefusedBeforeAnythingHappens() throws IOException {
    try (SmallDisk readOnly = SmallDisk.mount(directory.resolve("sealed"), "size=64k,ro")) {
      Daemon source =
          Daemon.start(
              directory,
              "source",
              readOnly.prefix(),
              List.of(
                  "source",
                  "--listen",
                  "127.0.0.1:0",
                  "--memory",
                  memoryFile.toString(),
                  "--layout",
                  path("layout").toString(),
                  "--ledger",
                  readOnly.inside("ledger").toString()));
      daemons.add(source);

      assertEquals(ExitCode.HOST_REFUSED.code(), source.await(deadline));
      assertThat(source.errors()).contains("Read-only file system");
    }
  }

  @Test
  void aDestinationThatCannotMakeItsLedgerLeavesTheGuestAtTheSource() throws IOException {
    disk.fill();
    Daemon source = source(path("ledger"));

    Daemon destination = destination(disk.inside("arrived"));

    assertGuestStayed(source, destination);
  }

  @Test
  void aMapThatCannotBeWrittenLeavesTheGuestAtTheSource() throws IOException {
    try (LedgerJournal journal = LedgerJournal.open(path("ledger"), guest.layout().guest())) {
      journal.append(losses(LOSSES));
    }
    makeLedger("arrived", false);
    disk.fill();
    Daemon source = source(path("ledger"));

    Daemon destination = destination(disk.inside("arrived"));

    assertGuestStayed(source, destination);
    assertThat(LedgerJournal.read(disk.outside("arrived")).ledger().pageCount()).isZero();
  }

  private void assertGuestStayed(Daemon source, Daemon destination) throws IOException {
    assertEquals(ExitCode.HOST_REFUSED.code(), destination.await(deadline));
    assertThat(destination.errors())
        .contains(FULL, "the guest did not run here, it is still at the source");
    assertEquals(ExitCode.UNFINISHED_BEFORE_RUN.code(), source.await(deadline));
    assertThat(source.errors()).contains("it is whole here");
  }

  @Test
  void lossesThatTheDestinationCannotWriteWaitForItsDiskAndTheRestGoesOn() throws Exception {
    makeLedger("arrived", false);
    disk.fill();
    Daemon source = source(path("ledger"), "--pause-stream");
    Daemon destination = destination(disk.inside("arrived"));
    deadline.await("the guest to run", () -> isIn("SERVING", "source"));

    CompletableFuture<ControlMessage> report = reportLosses();
    deadline.await("a warning", () -> destination.errors().contains("Free or repair the disk"));
    long before = status("source").get("answered").asLong();
    send("source", new ControlMessage.StreamControl(false));
    deadline.await("everything else to arrive", () -> unresolved() <= LOSSES);

    assertThat(destination.errors()).contains(disk.inside("arrived") + "/journal", FULL);
    assertTrue(isIn("RUNNING", "destination"));
    assertThat(report).isNotDone();
    assertThat(before).isPositive();
    disk.free();
    ControlMessage.ReportPoisonResult result =
        (ControlMessage.ReportPoisonResult) report.get(60, TimeUnit.SECONDS);
    assertEndedWell(source, destination, path("ledger"), disk.outside("arrived"));
    assertThat(result.poisoned().size() + result.held().size()).isEqualTo(LOSSES);
    assertThat(destination.errors()).contains("the ledger can be written again");
  }

  private CompletableFuture<ControlMessage> reportLosses() {
    return CompletableFuture.supplyAsync(
        () -> {
          try {
            return send("source", new ControlMessage.ReportPoison(losses(LOSSES)));
          } catch (IOException e) {
            throw new IllegalStateException(e);
          }
        });
  }

  private long unresolved() {
    JsonNode status = status("destination");
    return status == null ? Long.MAX_VALUE : status.get("pages").get("unresolved").asLong();
  }

  @Test
  void aDiskThatStaysFullPausesTheGuestWhenTheOperatorsPatienceEnds() throws Exception {
    makeLedger("arrived", false);
    disk.fill();
    Daemon source = source(path("ledger"), "--pause-stream", "--return-within", "0");
    Daemon destination = destination(disk.inside("arrived"), "--ledger-patience", "1");
    deadline.await("the guest to run", () -> isIn("SERVING", "source"));

    reportLosses();

    deadline.await("the guest to be paused", () -> isIn("UNFINISHED", "destination"));
    assertEquals(ExitCode.UNFINISHED_AFTER_RUN.code(), source.await(deadline));
    assertThat(source.errors()).contains("keep it, and do not start the guest here");
    long poisoned = status("destination").get("pages").get("pagesPoisoned").asLong();
    destination.terminate();
    assertEquals(ExitCode.HOST_REFUSED.code(), destination.await(deadline));
    assertThat(destination.errors()).contains(FULL, "the guest is paused here");
    // Single entries, of pages that were asked for, may still have found room in the last block.
    assertThat(poisoned).isLessThan(LOSSES);
    assertEquals(poisoned, LedgerJournal.read(disk.outside("arrived")).ledger().pageCount());
  }

  @Test
  void aPageThatTheSourceCannotReadIsNotAnsweredWhileItsDiskIsFull() throws Exception {
    makeLedger("ledger", true);
    long declared = lostAtTheSource();
    Daemon source =
        source(
            disk.inside("ledger"),
            "--inject-unreadable",
            String.join(",", unreadable()),
            "--host",
            "h".repeat(HOST_CHARACTERS));
    deadline.await("the source to listen", this::isListening);
    int port = status("source").get("port").asInt();
    try (FaultyLink link = new FaultyLink(new InetSocketAddress("127.0.0.1", port))) {
      fillBeforeTheGuestIsReleased(link);
      Daemon destination = destination(link.address(), path("arrived"));
      requireNoAnswerBeforeTheEntry(source, destination, declared + UNREADABLE);
    }
  }

  private long lostAtTheSource() throws IOException {
    return LedgerJournal.read(disk.outside("ledger")).ledger().pageCount();
  }

  private List<String> unreadable() {
    long middle = guest.layout().pageCount() / 2;
    return LongStream.range(middle, middle + UNREADABLE)
        .mapToObj(page -> "0x" + Long.toHexString(guest.layout().addressOf(page)))
        .toList();
  }

  /** What a source writes before it lets go of a guest is on disk by then. */
  private void fillBeforeTheGuestIsReleased(FaultyLink link) {
    Fault.Trigger released = new Fault.InBody(Fault.MESSAGE, GUEST_RELEASED, 0);
    link.onAct(
        act -> {
          try {
            disk.fill();
          } catch (IOException e) {
            throw new UncheckedIOException(e);
          }
        });
    link.inject(
        new Fault(ConnectionKind.CONTROL, LinkDirection.TO_DESTINATION, released, new Fill(), 1));
  }

  private void requireNoAnswerBeforeTheEntry(Daemon source, Daemon destination, long lost)
      throws IOException {
    deadline.await("a warning", () -> source.errors().contains("Free or repair the disk"));
    deadline.await(
        "everything to arrive that is not lost, or is in the ledger, where the guest runs",
        () -> isIn("RUNNING", "destination") && unresolved() <= lost - lostAtTheSource());

    assertThat(source.errors()).contains(disk.inside("ledger") + "/journal", FULL);
    assertThat(unresolved()).isEqualTo(lost - lostAtTheSource()).isPositive();
    disk.free();
    assertEndedWell(source, destination, disk.outside("ledger"), path("arrived"));
    assertEquals(lost, lostAtTheSource());
  }
}
