package ward.testbed;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assertions.assertEquals;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import ward.cli.LayoutFile;
import ward.memory.GuestLayout;
import ward.memory.GuestRegion;
import ward.memory.Pages;
import ward.vcpu.TouchPlan;
import ward.wire.ConnectionKind;

/** What the background stream sends, and when, between two real processes. */
@Timeout(value = 3, unit = TimeUnit.MINUTES)
class StreamScenario {

  private static final int DATA_PAGES = 2048;
  private static final int PAGES = 8 * DATA_PAGES;

  /** Of frames without a body, and of a Hello. */
  private static final long FEW_BYTES = 16_384;

  @TempDir Path directory;

  private final Deadline deadline = new Deadline(Duration.ofSeconds(150));
  private final List<AutoCloseable> open = new ArrayList<>();
  private FaultyLink link;
  private Daemon source;
  private Daemon destination;

  /** Data first, and zeros behind it. */
  @BeforeEach
  void layOut() throws IOException {
    byte[] data = new byte[(int) Pages.bytes(DATA_PAGES)];
    new Random(7).nextBytes(data);
    try (java.io.RandomAccessFile memory =
        new java.io.RandomAccessFile(path("memory").toFile(), "rw")) {
      memory.write(data);
      memory.setLength(Pages.bytes(PAGES));
    }
    GuestRegion all = new GuestRegion(0, Pages.bytes(PAGES), 0);
    LayoutFile.write(path("layout"), new GuestLayout("stream", List.of(all)));
  }

  @AfterEach
  void end() throws Exception {
    for (AutoCloseable each : open) {
      each.close();
    }
  }

  private Path path(String name) {
    return directory.resolve(name);
  }

  private void start(int[] touched, String... ofSource) throws IOException {
    List<String> words = new ArrayList<>(List.of("source", "--listen", "127.0.0.1:0", "--json"));
    words.addAll(List.of("--memory", path("memory").toString()));
    words.addAll(List.of("--layout", path("layout").toString()));
    words.addAll(List.of("--ledger", path("ledger").toString()));
    words.addAll(List.of("--control", path("source.sock").toString()));
    words.addAll(List.of(ofSource));
    source = kept(Daemon.start(directory, "source", List.of(), words));
    deadline.await("the source to listen", () -> source.status(path("source.sock")) != null);
    int port = source.status(path("source.sock")).get("port").asInt();
    link = kept(new FaultyLink(new InetSocketAddress(InetAddress.getLoopbackAddress(), port)));
    TouchPlan.write(path("plan"), touched);
    startDestination();
  }

  private void startDestination() throws IOException {
    List<String> words = new ArrayList<>(List.of("destination", "--json"));
    words.addAll(List.of("--connect", "127.0.0.1:" + link.address().getPort()));
    words.addAll(List.of("--ledger", path("arrived").toString()));
    words.addAll(List.of("--control", path("destination.sock").toString()));
    words.addAll(List.of("--vcpu", "thread", "--threads", "1"));
    words.addAll(List.of("--touch-plan", path("plan").toString()));
    destination = kept(Daemon.start(directory, "destination", List.of(), words));
    deadline.watch(() -> requireWell(source, destination));
  }

  private static void requireWell(Daemon... daemons) throws IOException {
    for (Daemon daemon : daemons) {
      if (daemon.failure().isPresent()) {
        throw new IOException(daemon.failure().get());
      }
    }
  }

  private <T extends AutoCloseable> T kept(T one) {
    open.add(one);
    return one;
  }

  private long streamedBytes() {
    return link.carriedBytes(ConnectionKind.STREAM, LinkDirection.TO_DESTINATION);
  }

  private void requireDone() throws IOException {
    assertEquals(0, source.await(deadline), source::errors);
    assertEquals(0, destination.await(deadline), destination::errors);
  }

  @Test
  void zerosCostNoBandwidth() throws IOException {
    start(new int[] {PAGES - 1});

    requireDone();

    assertThat(streamedBytes())
        .as("bytes on the wire of %d zero pages and %d with data", PAGES - DATA_PAGES, DATA_PAGES)
        .isLessThan(Pages.bytes(DATA_PAGES) + FEW_BYTES)
        .isGreaterThan(Pages.bytes(DATA_PAGES) / 2);
  }

  @Test
  void aLimitedStreamKeepsToItsLimitAndDemandFaultsDoNotUntilTheLimitIsTaken() throws Exception {
    long limit = 64 << 10;
    long began = System.nanoTime();
    start(IntStream.range(0, DATA_PAGES).toArray(), "--bandwidth", "64K");

    deadline.await(
        "the guest to have all data", () -> TouchPlan.isDone(path("plan"), DATA_PAGES - 1));
    JsonNode status = source.status(path("source.sock"));
    long streamed = streamedBytes();
    double seconds = (System.nanoTime() - began) / 1e9;
    Order free =
        Order.give(
            List.of("control", "--socket", path("source.sock").toString(), "bandwidth", "none"));

    assertEquals(0, free.await(deadline), free::errors);
    assertEquals(limit, status.get("streamLimit").asLong());
    assertThat(streamed)
        .as("bytes in %f s", seconds)
        .isLessThan((long) (limit * seconds) + FEW_BYTES);
    assertThat(status.get("answered").asLong()).isGreaterThan(DATA_PAGES / 2);
    requireDone();
  }
}
