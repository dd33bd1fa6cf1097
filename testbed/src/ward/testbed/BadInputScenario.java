package ward.testbed;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.RandomAccessFile;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import java.util.zip.CRC32C;
import jnr.posix.POSIXFactory;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import ward.cli.ExitCode;
import ward.cli.LayoutFile;
import ward.memory.GuestLayout;
import ward.memory.GuestRegion;
import ward.poison.LedgerDigest;
import ward.poison.LedgerJournal;
import ward.poison.Origin;
import ward.poison.PoisonEntry;
import ward.poison.Severity;
import ward.wire.ControlFrame;
import ward.wire.ControlMessage;
import ward.wire.ControlMessage.Hello;
import ward.wire.Frame;
import ward.wire.PageAnswer;
import ward.wire.PageRequest;
import ward.wire.ProtocolVersion;

/** What people and peers do wrong: one clear line, the documented exit code, nothing changed. */
@Timeout(value = 2, unit = TimeUnit.MINUTES)
class BadInputScenario {

  @TempDir Path directory;

  private final Deadline deadline = new Deadline(Duration.ofSeconds(60));

  /** How a run ended: the exit code, and the one line on standard error that is no log line. */
  private record End(int code, String line, String all) {}

  private End run(List<String> prefix, List<String> arguments) throws IOException {
    try (Daemon ward = Daemon.start(directory, "ward", prefix, arguments)) {
      int code = ward.await(deadline);
      List<String> lines = ward.errors().lines().filter(l -> l.startsWith("ward ")).toList();
      assertEquals(1, lines.size(), ward::errors);
      assertThat(ward.errors()).doesNotContain("\tat ");
      return new End(code, lines.get(0), ward.errors());
    }
  }

  private void assertEnd(ExitCode code, End end, String... words) {
    assertEquals(code.code(), end.code(), end::all);
    assertThat(end.line()).contains(words);
  }

  private Path path(String name) {
    return directory.resolve(name);
  }

  private List<String> source(String listen) throws IOException {
    if (!Files.exists(path("layout"))) {
      LayoutFile.write(path("layout"), FakeSource.LAYOUT);
    }
    if (!Files.exists(path("memory"))) {
      Files.write(path("memory"), new byte[16 << 12]);
    }
    return List.of(
        "source",
        "--listen",
        listen,
        "--memory",
        path("memory").toString(),
        "--layout",
        path("layout").toString(),
        "--ledger",
        path("ledger").toString(),
        "--control",
        path("source.sock").toString());
  }

  private List<String> destination(int port) {
    return List.of(
        "destination",
        "--connect",
        "127.0.0.1:" + port,
        "--ledger",
        path("arrived").toString(),
        "--vcpu",
        "thread");
  }

  @Test
  void anUnknownOptionIsWrongUsage() throws IOException {
    List<String> arguments = new ArrayList<>(source("127.0.0.1:0"));
    arguments.add("--pause-steam");

    assertEnd(ExitCode.USAGE, run(List.of(), arguments), "--pause-steam");
    assertFalse(Files.exists(path("ledger")));
  }

  @ParameterizedTest
  @ValueSource(strings = {"-1", "1048577", "long"})
  void aRehearsalOfTooManyPagesIsWrongUsage(String pages) throws IOException {
    for (List<String> command : List.of(source("127.0.0.1:0"), destination(1))) {
      List<String> arguments = new ArrayList<>(command);
      arguments.addAll(List.of("--rehearsal", pages));

      assertEnd(ExitCode.USAGE, run(List.of(), arguments), "--rehearsal", pages);
    }
    assertFalse(Files.exists(path("ledger")));
    assertFalse(Files.exists(path("arrived")));
  }

  @ParameterizedTest
  @ValueSource(strings = {"0", "-1", "3601", "soon"})
  void aHandshakeThatMayTakeNoTimeOrHoursIsWrongUsage(String seconds) throws IOException {
    for (List<String> command : List.of(source("127.0.0.1:0"), destination(1))) {
      List<String> arguments = new ArrayList<>(command);
      arguments.addAll(List.of("--handshake-timeout", seconds));

      assertEnd(ExitCode.USAGE, run(List.of(), arguments), "--handshake-timeout", seconds);
    }
    assertFalse(Files.exists(path("ledger")));
    assertFalse(Files.exists(path("arrived")));
  }

  @ParameterizedTest
  @CsvSource({
    "--memory flash, flash",
    "--memory hugetlb --collapse, --collapse",
    "--memory hugetlb --marker sigbus, --marker sigbus",
    "--memory hugetlb --on-remove unpoison, --on-remove unpoison",
    "--memory hugetlb --on-source-loss poison, --on-source-loss poison",
    "--memory memfd --memory-owner /no/socket, --memory",
    "--huge-loss maybe, maybe"
  })
  void memoryThatDoesNotGoWithWhatIsWantedIsWrongUsage(String options, String named)
      throws IOException {
    List<String> arguments = new ArrayList<>(destination(1));
    if (options.contains("--memory-owner")) {
      arguments.removeAll(List.of("--vcpu", "thread"));
    }
    arguments.addAll(List.of(options.split(" ")));

    assertEnd(ExitCode.USAGE, run(List.of(), arguments), named);
    assertFalse(Files.exists(path("arrived")));
  }

  /** 256 GiB, of which a file system stores nothing. */
  private void makeLargeGuest() throws IOException {
    GuestRegion all = new GuestRegion(0, 256L << 30, 0);
    LayoutFile.write(path("layout"), new GuestLayout("large", List.of(all)));
    try (RandomAccessFile memory = new RandomAccessFile(path("memory").toFile(), "rw")) {
      memory.setLength(all.lengthBytes());
    }
  }

  private Daemon startWithLittleRoom(List<String> arguments) throws IOException {
    List<String> options = new ArrayList<>(Daemon.machineOptions(arguments.get(0)));
    options.add("-XX:MaxDirectMemorySize=16m");
    Daemon.Surroundings around = new Daemon.Surroundings(List.of(), options, Map.of());
    return Daemon.start(directory, "little", around, arguments);
  }

  private void assertNoRoom(Daemon daemon) throws IOException {
    assertEquals(ExitCode.HOST_REFUSED.code(), daemon.await(deadline), daemon::errors);
    assertThat(daemon.errors())
        .contains(
            "67108864 pages", "take 16 MiB outside", "may take 16 MiB", "-XX:MaxDirectMemorySize=2")
        .doesNotContain("\tat ");
  }

  @Test
  void aSourceWithoutRoomForTheGuestsTablesMakesNothing() throws IOException {
    makeLargeGuest();

    try (Daemon source = startWithLittleRoom(source("127.0.0.1:0"))) {
      assertNoRoom(source);
    }

    assertFalse(Files.exists(path("ledger")));
  }

  @Test
  void aDestinationWithoutRoomForTheGuestsTablesLeavesItAtTheSource() throws IOException {
    makeLargeGuest();

    try (Daemon source = Daemon.start(directory, "source", List.of(), source("127.0.0.1:0"))) {
      deadline.await("the source", () -> source.status(path("source.sock")) != null);
      int port = source.status(path("source.sock")).get("port").asInt();
      try (Daemon destination = startWithLittleRoom(destination(port))) {
        assertNoRoom(destination);
        assertThat(destination.errors()).contains("it is still at the source");
      }
      assertEquals(ExitCode.UNFINISHED_BEFORE_RUN.code(), source.await(deadline), source::errors);
      assertThat(source.errors()).contains("it is whole here");
    }

    assertFalse(Files.exists(path("arrived")));
  }

  @Test
  void aBandwidthWhereNothingIsStreamedFromIsWrongUsage() throws IOException {
    List<String> arguments = new ArrayList<>(destination(1));
    arguments.addAll(List.of("--bandwidth", "100M"));

    assertEnd(ExitCode.USAGE, run(List.of(), arguments), "--bandwidth without --offer");
    assertFalse(Files.exists(path("arrived")));
  }

  @Test
  void aBandwidthThatIsNoneIsWrongUsage() throws IOException {
    List<String> arguments = new ArrayList<>(source("127.0.0.1:0"));
    arguments.addAll(List.of("--bandwidth", "100MB"));

    assertEnd(ExitCode.USAGE, run(List.of(), arguments), "--bandwidth", "100MB", "4K to 1T");
    assertFalse(Files.exists(path("ledger")));
  }

  @Test
  void aPortThatIsTakenIsTheHostsRefusal() throws IOException {
    try (ServerSocket taken = new ServerSocket(0, 1, InetAddress.getByName("127.0.0.1"))) {
      String address = "127.0.0.1:" + taken.getLocalPort();

      assertEnd(ExitCode.HOST_REFUSED, run(List.of(), source(address)), "" + taken.getLocalPort());
    }
  }

  @Test
  void memoryThatIsShorterThanTheLayoutIsRefused() throws IOException {
    Files.write(path("memory"), new byte[4096]);

    End end = run(List.of(), source("127.0.0.1:0"));

    assertEnd(ExitCode.INPUT_REFUSED, end, path("memory").toString(), "4096", "65536");
    assertFalse(Files.exists(path("ledger")));
  }

  /** The file's reader is tested on its own; here only the code and the name. */
  @ParameterizedTest
  @ValueSource(
      strings = {
        "not JSON",
        "{\"guest\":\"fake\"}",
        "{\"guest\":\"fake\",\"regions\":["
            + "{\"guestPhysicalAddress\":\"0x0\",\"lengthBytes\":\"0x8000\",\"fileOffset\":\"0x0\"},"
            + "{\"guestPhysicalAddress\":\"0x7000\",\"lengthBytes\":\"0x8000\",\"fileOffset\":\"0x8000\"}]}",
        "{\"guest\":\"fake\",\"regions\":["
            + "{\"guestPhysicalAddress\":\"0x800\",\"lengthBytes\":\"0x8000\",\"fileOffset\":\"0x0\"}]}"
      })
  void aLayoutThatMakesNoSenseIsRefused(String text) throws IOException {
    Files.writeString(path("layout"), text);

    End end = run(List.of(), source("127.0.0.1:0"));

    assertEnd(ExitCode.INPUT_REFUSED, end, "layout");
    assertFalse(Files.exists(path("ledger")));
  }

  @Test
  void theLedgerOfAnotherGuestIsRefused() throws IOException {
    LedgerJournal.open(path("ledger"), "somebody else").close();
    byte[] before = Files.readAllBytes(path("ledger/journal"));

    End end = run(List.of(), source("127.0.0.1:0"));

    assertEnd(ExitCode.INPUT_REFUSED, end, "somebody else", "fake");
    assertThat(Files.readAllBytes(path("ledger/journal"))).isEqualTo(before);
  }

  @Test
  void aLedgerWithADamagedMiddleIsRefusedAndLeftAsItIs() throws IOException {
    Origin origin = new Origin("host-a", Instant.EPOCH, Origin.Discovery.DECLARED);
    try (LedgerJournal journal = LedgerJournal.open(path("ledger"), FakeSource.LAYOUT.guest())) {
      for (long address = 0; address < 0x3000; address += 0x1000) {
        journal.append(List.of(new PoisonEntry(address, 12, Severity.ACTION_REQUIRED, origin)));
      }
    }
    byte[] bytes = Files.readAllBytes(path("ledger").resolve("journal"));
    bytes[bytes.length / 2] ^= 0x10;
    Files.write(path("ledger").resolve("journal"), bytes);

    End end = run(List.of(), source("127.0.0.1:0"));

    assertEnd(ExitCode.INPUT_REFUSED, end, path("ledger").toString());
    assertThat(Files.readAllBytes(path("ledger").resolve("journal"))).isEqualTo(bytes);
  }

  @Test
  void withoutThePermissionForUserfaultfdADestinationSaysWhatToDo() throws IOException {
    Assumptions.assumeTrue(
        POSIXFactory.getPOSIX().geteuid() == 0, "only root can become somebody without rights");
    List<String> nobody =
        List.of("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--");

    End end = run(nobody, destination(9));

    assertEnd(ExitCode.HOST_REFUSED, end, "userfaultfd", "CAP_SYS_PTRACE");
    assertFalse(Files.exists(path("arrived")));
  }

  @Test
  void aPeerThatIsNotWardIsRefused() throws Exception {
    answering(
        "HTTP/1.1 400 Bad Request\r\n\r\n".getBytes(StandardCharsets.US_ASCII),
        port -> assertEnd(ExitCode.PEER_REFUSED, run(List.of(), destination(port)), "127.0.0.1"));
  }

  @Test
  void aFrameAboveTheLimitIsRefused() throws Exception {
    answering(
        frame(0x7fff_ffff, new byte[0]),
        port -> assertEnd(ExitCode.PEER_REFUSED, run(List.of(), destination(port)), "bytes"));
  }

  @Test
  void aFrameThatIsCutOffIsNoMigration() throws Exception {
    answering(
        frame(100, new byte[10]),
        port -> {
          End end = run(List.of(), destination(port));

          assertThat(end.code())
              .isIn(ExitCode.PEER_REFUSED.code(), ExitCode.UNFINISHED_BEFORE_RUN.code());
          assertFalse(Files.exists(path("arrived")));
        });
  }

  /**
   * The preface of Ward's protocol and a frame of kind 1, a message; all fields little-endian. Both
   * checksums are right, for a body that is not longer than this one.
   */
  private static byte[] frame(int bodyBytes, byte[] body) {
    ByteBuffer bytes = ByteBuffer.allocate(8 + 36 + body.length).order(ByteOrder.LITTLE_ENDIAN);
    bytes.put(new byte[] {'W', 'A', 'R', 'D', 0x0d, 0x0a, 0x1a, 0x0a});
    bytes.putInt(bodyBytes).put((byte) 1);
    byte[] kindAddressAndPages = new byte[13];
    kindAddressAndPages[0] = 1;
    bytes.putInt(8 + 20, checksum(kindAddressAndPages, body));
    bytes.putInt(8 + 32, checksum(Arrays.copyOfRange(bytes.array(), 8, 8 + 32)));
    return bytes.put(8 + 36, body).array();
  }

  private static int checksum(byte[]... parts) {
    CRC32C sum = new CRC32C();
    for (byte[] part : parts) {
      sum.update(part);
    }
    return (int) sum.getValue();
  }

  @Test
  void aFrameWhoseHeaderIsNotWhatWasSentIsNoMigrationAndBothSumsAreNamed() throws Exception {
    byte[] damaged = frame(100, new byte[100]);
    damaged[8 + 9] ^= 0x10; // the address
    answering(
        damaged,
        port ->
            assertEnd(
                ExitCode.UNFINISHED_BEFORE_RUN,
                run(List.of(), destination(port)),
                "a frame's header came with checksum 0x",
                "its bytes give 0x"));
  }

  private interface PortCheck {
    void with(int port) throws IOException;
  }

  /** Says those bytes to whoever comes, then closes. */
  private static void answering(byte[] bytes, PortCheck check) throws Exception {
    try (ServerSocket server = new ServerSocket(0, 1, InetAddress.getByName("127.0.0.1"))) {
      Thread thread =
          new Thread(
              () -> {
                try (Socket peer = server.accept()) {
                  peer.getOutputStream().write(bytes);
                  peer.shutdownOutput();
                  peer.getInputStream().readAllBytes();
                } catch (IOException over) {
                  Thread.currentThread().interrupt();
                }
              },
              "not-ward");
      thread.setDaemon(true);
      thread.start();
      check.with(server.getLocalPort());
    }
  }

  @Test
  void aPeerOfAnotherMajorVersionIsRefusedAndBothVersionsAreNamed() throws IOException {
    try (FakeSource source =
        new FakeSource(
            new FakeSource.Lie() {},
            hello ->
                new Hello(
                    hello.role(),
                    hello.kind(),
                    hello.session(),
                    hello.attempt(),
                    new ProtocolVersion(9, 4),
                    hello.host()))) {
      assertEnd(ExitCode.PEER_REFUSED, run(List.of(), destination(source.port())), "9.4", "1.0");
    }
  }

  @Test
  void aMapThatIsNotWhatItsEndSaysIsRefused() throws IOException {
    FakeSource.Lie lie =
        new FakeSource.Lie() {
          @Override
          public void map(Consumer<Frame> out) {
            out.accept(
                new ControlFrame(
                    new ControlMessage.PoisonMapEnd(3, LedgerDigest.of(new byte[32]))));
          }
        };

    try (FakeSource source = new FakeSource(lie)) {
      End end = run(List.of(), destination(source.port()));

      assertThat(end.code()).isIn(ExitCode.PEER_REFUSED.code(), ExitCode.INPUT_REFUSED.code());
    }
  }

  @Test
  void aStrangerDoesNotEndASource() throws Exception {
    List<String> arguments = new ArrayList<>(source("127.0.0.1:0"));
    try (Daemon source = Daemon.start(directory, "source", List.of(), arguments)) {
      deadline.await("the source to listen", () -> source.errors().contains("listening on"));
      int port =
          Integer.parseInt(source.errors().replaceAll("(?s).*127\\.0\\.0\\.1:(\\d+).*", "$1"));

      try (Socket stranger = new Socket("127.0.0.1", port)) {
        stranger
            .getOutputStream()
            .write("GET / HTTP/1.1\r\n\r\n".getBytes(StandardCharsets.US_ASCII));
        stranger.getInputStream().readAllBytes();
      }

      deadline.await(
          "the line in the log", () -> source.errors().contains("a connection was dropped"));
      assertTrue(source.isAlive());
      source.terminate();
      assertEquals(ExitCode.UNFINISHED_BEFORE_RUN.code(), source.await(deadline));
    }
  }

  /**
   * The guest runs by then: it stays, paused, until it is given up, and that is never a success.
   */
  @ParameterizedTest
  @ValueSource(strings = {"nobody asked", "not RAM"})
  void anAnswerThatCannotBeIsRefused(String lie) throws IOException {
    long address = lie.equals("not RAM") ? 1L << 32 : 15 << 12;
    FakeSource.Lie answer =
        new FakeSource.Lie() {
          @Override
          public void answer(PageRequest request, Consumer<Frame> out) {
            out.accept(new PageAnswer.Zero(request.requestId() + 1000, address, 1));
          }
        };
    try (FakeSource source = new FakeSource(answer);
        Daemon ward = Daemon.start(directory, "ward", List.of(), destination(source.port()))) {
      deadline.await(
          "the end of the migration",
          () -> !ward.isAlive() || ward.errors().contains("SIGTERM gives it up"));
      ward.terminate();

      assertEquals(ExitCode.PEER_REFUSED.code(), ward.await(deadline), ward::errors);
    }
  }
}
