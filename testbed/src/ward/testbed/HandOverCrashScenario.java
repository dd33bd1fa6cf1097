package ward.testbed;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assertions.assertEquals;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.stream.LongStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import ward.cli.ControlClient;
import ward.cli.ExitCode;
import ward.cli.LayoutFile;
import ward.poison.LedgerJournal;
import ward.poison.Origin;
import ward.poison.PoisonEntry;
import ward.poison.Severity;
import ward.wire.ConnectionKind;
import ward.wire.ControlMessage;

/**
 * One daemon is killed while one word of the way from the map to the confirmed hand-over is under
 * way: the other one says where the guest is, and what was promised is on disk.
 */
@Timeout(value = 3, unit = TimeUnit.MINUTES)
class HandOverCrashScenario {

  private static final ObjectMapper JSON = new ObjectMapper();
  private static final long MEMORY_BYTES = 16 << 20;
  private static final int LOSSES = 7;
  private static final Duration HELD = Duration.ofMinutes(10);

  /** A word that one side says and that does not arrive; numbers count from the Hello. */
  private enum Word {
    MAP_END(LinkDirection.TO_DESTINATION, 4),
    MAP_APPLIED(LinkDirection.TO_SOURCE, 2),
    GUEST_RELEASED(LinkDirection.TO_DESTINATION, 5),
    GUEST_RESUMED(LinkDirection.TO_SOURCE, 3),
    HAND_OVER(LinkDirection.TO_SOURCE, 4),
    HAND_OVER_ACCEPTED(LinkDirection.TO_DESTINATION, 6),
    HAND_OVER_CONFIRMED(LinkDirection.TO_SOURCE, 5);

    private final LinkDirection direction;
    private final int number;

    Word(LinkDirection direction, int number) {
      this.direction = direction;
      this.number = number;
    }

    /** Whether the destination had written the map when it was said. */
    boolean isAfterTheMap() {
      return this != MAP_END;
    }

    boolean isAfterTheHandOver() {
      return compareTo(HAND_OVER_ACCEPTED) >= 0;
    }
  }

  @TempDir Path directory;

  private final Deadline deadline = new Deadline(Duration.ofSeconds(150));
  private WalkerGuest guest;
  private byte[] memoryBefore;
  private Daemon source;
  private Daemon destination;
  private FaultyLink link;

  @BeforeEach
  void makeGuest() throws IOException {
    try (FileChannel memory =
        FileChannel.open(
            path("memory"),
            StandardOpenOption.CREATE,
            StandardOpenOption.READ,
            StandardOpenOption.WRITE)) {
      guest = new WalkerGuestBuilder(MEMORY_BYTES, 1, 7).writeTo(memory);
    }
    memoryBefore = Files.readAllBytes(path("memory"));
    LayoutFile.write(path("layout"), guest.layout());
    Origin origin = new Origin("testbed", Instant.now(), Origin.Discovery.DECLARED);
    try (LedgerJournal journal = LedgerJournal.open(path("ledger"), guest.layout().guest())) {
      journal.append(
          LongStream.range(0, LOSSES)
              .mapToObj(i -> guest.layout().addressOf(100 + 3 * i))
              .map(gpa -> new PoisonEntry(gpa, 12, Severity.ACTION_REQUIRED, origin))
              .toList());
    }
  }

  @AfterEach
  void end() throws IOException {
    for (Daemon daemon : new Daemon[] {source, destination}) {
      if (daemon != null) {
        daemon.close();
      }
    }
    if (link != null) {
      link.close();
    }
  }

  private Path path(String name) {
    return directory.resolve(name);
  }

  private JsonNode status(String daemon) {
    try {
      ControlMessage answer =
          ControlClient.send(path(daemon + ".sock"), new ControlMessage.StatusQuery());
      return JSON.readTree(((ControlMessage.Status) answer).json());
    } catch (IOException notYet) {
      return null;
    }
  }

  /** Runs a migration until the word is said, and keeps it from arriving. */
  private void migrateUntil(Word word) throws IOException {
    source =
        start(
            "source",
            "--listen",
            "127.0.0.1:0",
            "--memory",
            path("memory").toString(),
            "--layout",
            path("layout").toString(),
            "--ledger",
            path("ledger").toString(),
            "--return-within",
            "0");
    deadline.await("the source to listen", () -> status("source") != null);
    int port = status("source").get("port").asInt();
    link = new FaultyLink(new InetSocketAddress("127.0.0.1", port));
    link.inject(
        new Fault(
            ConnectionKind.CONTROL,
            word.direction,
            new Fault.InBody(Fault.MESSAGE, word.number, 0),
            new Fault.Stall(HELD),
            1));
    destination =
        start(
            "destination",
            "--connect",
            "127.0.0.1:" + link.address().getPort(),
            "--ledger",
            path("arrived").toString(),
            "--vcpu",
            "thread",
            "--on-source-loss",
            "wait",
            "--source-loss-after",
            "1");
    deadline.await("the word to be said", () -> link.count(Fault.Stall.class) > 0);
  }

  private Daemon start(String name, String... options) throws IOException {
    List<String> arguments = new ArrayList<>(List.of(name));
    arguments.addAll(List.of(options));
    arguments.addAll(List.of("--control", path(name + ".sock").toString()));
    return Daemon.start(directory, name, List.of(), arguments);
  }

  /** The host is gone, and with it its connections. */
  private void kill(Daemon daemon) throws IOException {
    daemon.kill();
    link.close();
  }

  private void assertLedgersComplete(Word word) throws IOException {
    assertEquals(LOSSES, LedgerJournal.read(path("ledger")).ledger().pageCount());
    if (word.isAfterTheMap()) {
      assertEquals(
          LedgerJournal.read(path("ledger")).ledger().digest(),
          LedgerJournal.read(path("arrived")).ledger().digest());
    }
    assertThat(Files.readAllBytes(path("memory"))).isEqualTo(memoryBefore);
  }

  @ParameterizedTest
  @EnumSource(Word.class)
  void aSourceWhoseDestinationIsKilledKeepsItsCopyUnlessItWasProvenThere(Word word)
      throws IOException {
    migrateUntil(word);

    kill(destination);

    if (word.isAfterTheHandOver()) {
      source.terminate(); // or it would wait for a minute for the last word
    }
    assertEquals(expectedOfSource(word).code(), source.await(deadline), source::errors);
    assertThat(source.errors()).contains(whereTheSourceSaysTheGuestIs(word));
    assertLedgersComplete(word);
  }

  private static ExitCode expectedOfSource(Word word) {
    return switch (word) {
      case MAP_END, MAP_APPLIED -> ExitCode.UNFINISHED_BEFORE_RUN;
      case GUEST_RELEASED, GUEST_RESUMED, HAND_OVER -> ExitCode.UNFINISHED_AFTER_RUN;
      case HAND_OVER_ACCEPTED, HAND_OVER_CONFIRMED -> ExitCode.OK;
    };
  }

  private static String whereTheSourceSaysTheGuestIs(Word word) {
    return switch (word) {
      case MAP_END, MAP_APPLIED -> "it is whole here";
      case GUEST_RELEASED, GUEST_RESUMED ->
          "start it here only if the destination says that it never ran";
      case HAND_OVER -> "keep it, and do not start the guest here";
      case HAND_OVER_ACCEPTED, HAND_OVER_CONFIRMED -> "counts, ledger and markers agree";
    };
  }

  @ParameterizedTest
  @EnumSource(Word.class)
  void aDestinationWhoseSourceIsKilledSaysWhetherItHasTheGuest(Word word) throws IOException {
    migrateUntil(word);

    kill(source);

    if (word == Word.GUEST_RESUMED) { // its pages are missing: it waits for its source, for ever
      deadline.await("it to notice", () -> isIn("RECOVERING"));
      destination.terminate();
    }
    assertEquals(expectedOfDestination(word).code(), destination.await(deadline));
    assertThat(destination.errors()).contains(whereTheDestinationSaysTheGuestIs(word));
    assertLedgersComplete(word);
  }

  private boolean isIn(String phase) {
    JsonNode status = status("destination");
    return status != null && status.get("phase").asText().equals(phase);
  }

  private static ExitCode expectedOfDestination(Word word) {
    return switch (word) {
      case MAP_END, MAP_APPLIED, GUEST_RELEASED -> ExitCode.UNFINISHED_BEFORE_RUN;
      case GUEST_RESUMED -> ExitCode.UNFINISHED_AFTER_RUN;
      case HAND_OVER, HAND_OVER_ACCEPTED, HAND_OVER_CONFIRMED -> ExitCode.OK;
    };
  }

  private static String whereTheDestinationSaysTheGuestIs(Word word) {
    return switch (word) {
      case MAP_END, MAP_APPLIED, GUEST_RELEASED -> "the guest did not run here";
      case GUEST_RESUMED -> "the guest is paused here";
      case HAND_OVER, HAND_OVER_ACCEPTED -> "every page is here, the guest runs on";
      case HAND_OVER_CONFIRMED -> "the guest is here; the source has let go";
    };
  }
}
