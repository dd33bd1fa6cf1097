package ward.testbed;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import ward.cli.ExitCode;
import ward.memory.GuestLayout;
import ward.memory.GuestRegion;
import ward.memory.MemoryIdentity;
import ward.memory.PageSample;
import ward.memory.Pages;
import ward.poison.LedgerJournal;
import ward.poison.MigrationFile;
import ward.poison.MigrationRecord;
import ward.poison.MigrationRecord.Stage;
import ward.wire.ConnectionKind;

/**
 * A source that dies while the guest's pages are on two hosts, and another process in its place.
 */
@Timeout(value = 3, unit = TimeUnit.MINUTES)
class ReplacedSourceScenario {

  private static final long MEMORY_BYTES = 16 << 20;
  private static final Duration TIME = Duration.ofMinutes(2);
  private static final LinkDirection DOWN = LinkDirection.TO_DESTINATION;

  /** Long enough that the stream cannot end while its source is killed. */
  private static final Duration SLOWLY = Duration.ofMillis(100);

  private static LoopbackSettings withEveryLoss(String vcpu) {
    return new LoopbackSettings(MEMORY_BYTES, 2, 9, 7, 5, 31, vcpu, TIME);
  }

  private static final MigrationSource.Interregnum NOTHING = port -> {};

  /** A migration over a link that can be made bad, in which nothing may be missing in the end. */
  private static final class Journey implements AutoCloseable {

    private final LoopbackRun run;
    private FaultyLink link;
    private Preparation preparation = link -> {};

    /** What is done to a link before anything goes through it. */
    interface Preparation {
      void make(FaultyLink link);
    }

    Journey(LoopbackSettings settings) throws IOException {
      run =
          new LoopbackRun(settings, line -> {}, () -> Network.plain("a link that can be made bad"));
      run.takeDetour(
          source -> {
            link = new FaultyLink(source);
            preparation.make(link);
            return link.address();
          });
    }

    /** The detour is taken after this. */
    private void beforeTheLinkIsUsed(Preparation what) {
      preparation = what;
    }

    private void awaitLossAndCloseTheRoad() throws IOException {
      run.deadline().await("the loss", () -> link.count(Fault.Reset.class) > 0);
      link.refuse();
    }

    private void replace(MigrationSource source, MigrationSource.Interregnum meanwhile)
        throws IOException {
      source.replace(meanwhile, run.deadline());
    }

    private Stage stage(MigrationSource source) throws IOException {
      return MigrationFile.peek(source.ledger()).orElseThrow().stage();
    }

    private LoopbackResult complete() throws IOException {
      LoopbackResult result = run.run();
      assertEquals(List.of(), result.failures(), run::logs);
      assertEquals(result.digestSource(), result.digestDestination());
      assertThat(run.logs()).contains("LISTENING -> AWAITING_RETURN").contains("RECOVERING -> ");
      return result;
    }

    @Override
    public void close() throws IOException {
      run.close();
      if (link != null) {
        link.close();
      }
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"auto", "thread"})
  void aSourceThatIsKilledBeforeItStreamsIsReplacedAndNothingIsMissing(String vcpu)
      throws IOException {
    try (Journey journey = new Journey(withEveryLoss(vcpu))) {
      journey.run.beforeTheStream(source -> journey.replace(source, NOTHING));

      journey.complete();
    }
  }

  @Test
  void aSourceThatIsKilledTwiceInTheMiddleOfTheStreamIsReplacedTwice() throws IOException {
    try (Journey journey = new Journey(withEveryLoss("auto"))) {
      journey.run.beforeTheStream(source -> journey.link.delay(SLOWLY));
      journey.run.inTheStream(
          source -> {
            journey.run.deadline().await("some of the stream", () -> streamed(source) > 0);
            journey.replace(source, NOTHING);
            source.stream();
            journey.run.deadline().await("more of the stream", () -> streamed(source) > 0);
            journey.replace(source, NOTHING);
            journey.link.heal();
            source.stream();
          });

      journey.complete();

      assertThat(journey.run.lastStatus().get("breaks").get("count").asInt()).isEqualTo(2);
    }
  }

  private static long streamed(MigrationSource source) throws IOException {
    return source.status().get("streamedData").asLong();
  }

  /** Its registers are at the destination, and nowhere else, when the source dies. */
  @Test
  void aGuestThatRanAtTheSourceDoesNotNoticeItsDeathButByTheTimeItTakes() throws IOException {
    LoopbackSettings awake =
        new LoopbackSettings(MEMORY_BYTES, 2, 9, 0, 5, 33, "kvm", "auto", true, TIME);
    try (Journey journey = new Journey(awake)) {
      journey.run.beforeTheStream(source -> journey.replace(source, NOTHING));

      journey.complete();
    }
  }

  /** The destination has not heard that it may run the guest; the one who knows it is dead. */
  @Test
  void aSourceThatDiesWithItsFirstPromiseOnDiskOnlyIsBoundByIt() throws IOException {
    LoopbackSettings settings = new LoopbackSettings(MEMORY_BYTES, 2, 9, 0, 0, 24, "auto", TIME);
    try (Journey journey = new Journey(settings)) {
      journey.beforeTheLinkIsUsed(link -> link.inject(lossOf(GUEST_RELEASED)));
      journey.run.whenTheDestinationComes(
          source -> {
            journey.awaitLossAndCloseTheRoad();
            assertEquals(Stage.MAP_APPLIED, journey.stage(source));
            journey.replace(source, port -> journey.link.accept());
          });

      journey.complete();
    }
  }

  /** Journalled, and the message on its way when the source dies. */
  @Test
  void aLossThatOnlyTheLedgerOfTheDeadSourceKnowsReachesTheDestination() throws IOException {
    LoopbackSettings late = new LoopbackSettings(MEMORY_BYTES, 2, 9, 0, 5, 24, "auto", TIME);
    try (Journey journey = new Journey(late)) {
      journey.run.reportLatePoisonBy(
          source -> {
            journey.link.inject(lossOf(FIRST_LATE_POISON));
            source.reportInVain(journey.run.deadline());
            journey.awaitLossAndCloseTheRoad();
            journey.replace(source, port -> journey.link.accept());
          });

      journey.complete();
    }
  }

  /** Messages on the control connection towards the destination, its Hello first. */
  private static final int GUEST_RELEASED = 5;

  private static final int FIRST_LATE_POISON = 6;

  private static Fault lossOf(int message) {
    Fault.InBody trigger = new Fault.InBody(Fault.MESSAGE, message, 0);
    return new Fault(ConnectionKind.CONTROL, DOWN, trigger, new Fault.Reset(), 1);
  }

  @Test
  void whoDoesNotServeTheGuestIsRefusedByNameAndTheRightOneStillComes() throws IOException {
    try (Journey journey = new Journey(withEveryLoss("auto"))) {
      Impostor impostor = new Impostor(journey.run);
      journey.run.beforeTheStream(
          source ->
              journey.replace(
                  source,
                  port -> {
                    List<String> right = source.command(port);
                    impostor.refusesOtherMemory(right);
                    impostor.refusesToRunTheGuest(right);
                    impostor.isRefusedByTheDestination(right);
                  }));

      journey.complete();

      impostor.refusesWhatWasHandedOver();
    }
  }

  /** Processes that are started where the source was. */
  private static final class Impostor {

    private final LoopbackRun run;
    private List<String> right;

    Impostor(LoopbackRun run) {
      this.run = run;
    }

    void refusesOtherMemory(List<String> command) throws IOException {
      right = command;
      String errors = refused(with("--memory", otherMemory()), ExitCode.INPUT_REFUSED);

      assertThat(errors).contains("this is not the memory that was served to ").contains("inode");
    }

    void refusesToRunTheGuest(List<String> command) throws IOException {
      List<String> running = new ArrayList<>(command);
      running.add("--run");
      running.remove(running.indexOf("--inject-unreadable") + 1);
      running.remove("--inject-unreadable");

      assertThat(refused(running, ExitCode.INPUT_REFUSED))
          .contains("--run: the guest may run at loopback-destination at 127.0.0.1:")
          .contains("--new-session");
    }

    /** Its own ledger says of its own memory that it is the one. */
    void isRefusedByTheDestination(List<String> command) throws IOException {
      Path forged = run.directory().resolve("ledger-forged");
      Path memory = otherMemory();
      MigrationRecord real = MigrationFile.peek(value(command, "--ledger")).orElseThrow();
      try (LedgerJournal journal = LedgerJournal.open(forged, real.guest())) {
        MemoryIdentity identity = real.memory().orElseThrow();
        journal
            .migrationFile()
            .write(real.with(sampled(identity, memory)).with("memory", stat(memory)));
      }

      List<String> impostor = with("--memory", memory);
      impostor.set(impostor.indexOf("--ledger") + 1, forged.toString());

      assertThat(refused(impostor, ExitCode.PEER_REFUSED))
          .contains("this source does not serve the guest that was offered: ")
          .contains("sampled pages have other content, the first at guest-physical address 0x");
    }

    void refusesWhatWasHandedOver() throws IOException {
      assertThat(refused(right, ExitCode.INPUT_REFUSED))
          .contains("the guest was handed over to loopback-destination at 127.0.0.1:")
          .contains("this copy is stale");
    }

    private List<String> with(String option, Path value) {
      List<String> command = new ArrayList<>(right);
      command.set(command.indexOf(option) + 1, value.toString());
      return command;
    }

    private static Path value(List<String> command, String option) {
      return Path.of(command.get(command.indexOf(option) + 1));
    }

    private String refused(List<String> command, ExitCode code) throws IOException {
      try (Daemon daemon = Daemon.start(run.directory(), "impostor", List.of(), command)) {
        assertEquals(code.code(), daemon.await(run.deadline()), daemon::errors);
        return daemon.errors();
      }
    }

    /** Of another guest of the same shape. */
    private Path otherMemory() throws IOException {
      Path path = run.directory().resolve("other-memory");
      try (FileChannel memory =
          FileChannel.open(
              path, StandardOpenOption.CREATE, StandardOpenOption.READ, StandardOpenOption.WRITE)) {
        new WalkerGuestBuilder(MEMORY_BYTES, 2, 77).writeTo(memory);
      }
      return path;
    }

    private static String stat(Path file) throws IOException {
      Map<String, Object> stat = Files.readAttributes(file, "unix:dev,ino,size");
      return "device %s, inode %s, %s bytes"
          .formatted(stat.get("dev"), stat.get("ino"), stat.get("size"));
    }

    private static MemoryIdentity sampled(MemoryIdentity identity, Path file) throws IOException {
      List<PageSample> samples = new ArrayList<>();
      try (RandomAccessFile memory = new RandomAccessFile(file.toFile(), "r")) {
        for (PageSample sample : identity.samples()) {
          byte[] page = new byte[Pages.SIZE_BYTES];
          memory.seek(offset(identity.layout(), sample.address()));
          memory.readFully(page);
          samples.add(new PageSample(sample.frame(), sha256(page)));
        }
      }
      return new MemoryIdentity(identity.layout(), samples);
    }

    private static long offset(GuestLayout layout, long address) {
      GuestRegion region =
          layout.regions().stream().filter(r -> r.contains(address)).findFirst().orElseThrow();
      return region.fileOffset() + address - region.guestPhysicalAddress();
    }

    private static String sha256(byte[] page) throws IOException {
      try {
        return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(page));
      } catch (NoSuchAlgorithmException e) {
        throw new IOException(e);
      }
    }
  }
}
