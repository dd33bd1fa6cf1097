package ward.testbed;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assertions.assertEquals;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import ward.cli.LayoutFile;
import ward.memory.GuestLayout;
import ward.memory.GuestRegion;
import ward.memory.PageRun;
import ward.memory.PageSet;
import ward.memory.Pages;
import ward.poison.LedgerJournal;
import ward.poison.Origin;
import ward.testbed.lab.DirectoryTree;
import ward.testing.RequiresUserfaultfd;
import ward.vcpu.TouchPlan;

/**
 * A guest of 16 GiB that has used 256 MiB of them moves between two daemons with a heap of 128 MiB:
 * what it never used becomes memory on neither side, and the daemons themselves stay small.
 */
@RequiresUserfaultfd
@Timeout(value = 6, unit = TimeUnit.MINUTES)
class DaemonMemoryScenario {

  private static final String HEAP = "-Xmx128m";
  private static final long HEAP_MIB = 128;
  private static final int CHUNK_PAGES = 512;
  private static final long PAGES = (16L << 30) >>> Pages.SHIFT;
  private static final int DATA_CHUNKS = 112;
  private static final int SINGLE_PAGES = 8192;
  private static final int LOST_PAGES = 512;
  private static final int TOUCHED_PAGES = 1024;

  /** Beside heap and guest: code, classes, threads, buffers, the kernel's pages of the jar. */
  private static final long BESIDE_HEAP_MIB = 192;

  /** Few of 4 million: what both sides compare to know each other's memory, and what is touched. */
  private static final long READ_PAGES_MAX = 256;

  private final Deadline deadline = new Deadline(Duration.ofMinutes(5));
  private final List<AutoCloseable> open = new ArrayList<>();
  private final SplittableRandom random = new SplittableRandom(7);
  private final PageSet data = new PageSet();
  private final PageSet lost = new PageSet();
  private final GuestLayout layout =
      new GuestLayout("sparse", List.of(new GuestRegion(0, Pages.bytes(PAGES), 0)));
  private Path directory;

  @BeforeEach
  void layOut() throws IOException {
    directory = Files.createTempDirectory(Path.of("/dev/shm"), "ward-sparse-");
    drawPages();
    writeMemory();
    LayoutFile.write(path("layout"), layout);
    Origin origin = new Origin("testbed", Instant.now(), Origin.Discovery.DECLARED);
    try (LedgerJournal journal = LedgerJournal.open(path("ledger"), layout.guest())) {
      journal.append(LostPageEntry.of(layout, lost, origin));
    }
    List<Integer> touched = new ArrayList<>();
    data.forEach(page -> touched.add((int) page));
    TouchPlan.write(
        path("plan"),
        IntStream.range(0, TOUCHED_PAGES)
            .map(i -> touched.get(random.nextInt(touched.size())))
            .toArray());
  }

  /** Huge pages and single ones, and losses among data and where nothing was ever written. */
  private void drawPages() {
    for (int i = 0; i < DATA_CHUNKS; i++) {
      data.add(new PageRun(random.nextLong(PAGES / CHUNK_PAGES) * CHUNK_PAGES, CHUNK_PAGES));
    }
    random.longs(SINGLE_PAGES, 0, PAGES).forEach(data::add);
    List<Long> filled = new ArrayList<>();
    data.forEach(filled::add);
    for (int i = 0; i < LOST_PAGES / 2; i++) {
      lost.add(filled.get(random.nextInt(filled.size())));
      lost.add(random.nextLong(PAGES));
    }
  }

  private void writeMemory() throws IOException {
    try (FileChannel memory =
        FileChannel.open(path("memory"), StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE)) {
      memory.write(ByteBuffer.allocate(1), Pages.bytes(PAGES) - 1);
      ByteBuffer page = ByteBuffer.allocateDirect(Pages.SIZE_BYTES);
      List<Long> filled = new ArrayList<>();
      data.forEach(filled::add);
      for (long each : filled) {
        page.clear();
        while (page.hasRemaining()) {
          page.putLong(random.nextLong() | 1);
        }
        memory.write(page.flip(), Pages.bytes(each));
      }
    }
  }

  @AfterEach
  void end() throws Exception {
    for (AutoCloseable each : open) {
      each.close();
    }
    DirectoryTree.delete(directory);
  }

  private Path path(String name) {
    return directory.resolve(name);
  }

  private <T extends AutoCloseable> T kept(T one) {
    open.add(one);
    return one;
  }

  /** With a log of its collector, which says how full the heap was. */
  private Daemon start(String name, List<String> words) throws IOException {
    List<String> options =
        new ArrayList<>(
            Daemon.machineOptions(name).stream()
                .filter(option -> !option.startsWith("-Xlog"))
                .toList());
    options.addAll(List.of(HEAP, "-Xlog:disable"));
    options.add("-Xlog:gc,gc+heap+exit:file=%s".formatted(path(name + ".gc")));
    Daemon.Surroundings around = new Daemon.Surroundings(List.of(), options, Map.of());
    return kept(Daemon.start(directory, name, around, words));
  }

  private Daemon startSource() throws IOException {
    List<String> words = new ArrayList<>(List.of("source", "--listen", "127.0.0.1:0", "--json"));
    words.addAll(List.of("--handshake-timeout", Daemon.HANDSHAKE_SECONDS));
    words.addAll(List.of("--memory", path("memory").toString()));
    words.addAll(List.of("--layout", path("layout").toString()));
    words.addAll(List.of("--ledger", path("ledger").toString()));
    words.addAll(List.of("--control", path("source.sock").toString()));
    return start("source", words);
  }

  private Daemon startDestination(int port) throws IOException {
    List<String> words = new ArrayList<>(List.of("destination", "--json", "--keep"));
    words.addAll(List.of("--connect", "127.0.0.1:" + port));
    words.addAll(List.of("--handshake-timeout", Daemon.HANDSHAKE_SECONDS));
    words.addAll(List.of("--ledger", path("arrived").toString()));
    words.addAll(List.of("--control", path("destination.sock").toString()));
    words.addAll(List.of("--vcpu", "thread", "--threads", "1"));
    words.addAll(List.of("--touch-plan", path("plan").toString()));
    return start("destination", words);
  }

  @Test
  void twoSmallDaemonsMoveALargeGuestAndWhatItNeverUsedBecomesMemoryOnNeitherSide()
      throws Exception {
    long storedBefore = storedPages();
    Daemon source = startSource();
    deadline.await("the source", () -> source.status(path("source.sock")) != null);
    int port = source.status(path("source.sock")).get("port").asInt();

    Daemon destination = startDestination(port);
    Footprint atSource = new Footprint();
    deadline.await(
        "the migration to end",
        () -> {
          atSource.look(source);
          return isComplete(destination);
        });
    Footprint atDestination = new Footprint();
    atDestination.look(destination);
    long address = hostAddress(destination);
    long wrong = wrongPages(destination.pid(), address);
    destination.terminate();

    assertEquals(0, source.await(deadline), source::errors);
    assertEquals(0, destination.await(deadline), destination::errors);
    System.out.printf(
        "guest of %d MiB, %d MiB of data: source %s, heap %d MiB; destination %s, heap %d MiB%n",
        PAGES >>> 8,
        data.size() >>> 8,
        atSource,
        peakHeapMebibytes("source"),
        atDestination,
        peakHeapMebibytes("destination"));
    assertThat(wrong).as("pages that are not as they were").isZero();
    assertThat(storedPages() - storedBefore)
        .as("pages that the source's file has got by being served")
        .isLessThan(READ_PAGES_MAX);
    for (Footprint each : new Footprint[] {atSource, atDestination}) {
      assertThat(each.peakMebibytes() - (data.size() >>> 8))
          .as("MiB at most, beside the guest's data: %s", each)
          .isLessThan(HEAP_MIB + BESIDE_HEAP_MIB);
    }
    for (String side : new String[] {"source", "destination"}) {
      assertThat(peakHeapMebibytes(side)).as(side).isBetween(1L, HEAP_MIB);
    }
  }

  private long storedPages() throws IOException {
    Process stat = new ProcessBuilder("stat", "--format=%b", path("memory").toString()).start();
    String blocks = new String(stat.getInputStream().readAllBytes()).strip();
    return Long.parseLong(blocks) * 512 >>> Pages.SHIFT;
  }

  private boolean isComplete(Daemon destination) throws IOException {
    JsonNode status = destination.status(path("destination.sock"));
    return status != null
        && status.get("phase").asText().equals("COMPLETE")
        && status.get("guestEnded").asBoolean();
  }

  private long hostAddress(Daemon destination) throws IOException {
    JsonNode status = destination.status(path("destination.sock"));
    return Long.decode(status.get("regions").get(0).get("hostAddress").asText());
  }

  /** The most that a process has had in memory, the guest's data that it maps included. */
  private static final class Footprint {
    private static final Pattern PEAK = Pattern.compile("VmHWM:\\s+(\\d+) kB");
    private long peakKibibytes;

    void look(Daemon daemon) throws IOException {
      Path status = Path.of("/proc/%d/status".formatted(daemon.pid()));
      if (daemon.isAlive()) {
        Matcher peak = PEAK.matcher(Files.readString(status));
        peakKibibytes = peak.find() ? Long.parseLong(peak.group(1)) : peakKibibytes;
      }
    }

    long peakMebibytes() {
      return peakKibibytes >>> 10;
    }

    @Override
    public String toString() {
      return "%d MiB resident".formatted(peakMebibytes());
    }
  }

  /** Before a collection, or at the end: {@code 24M->4M(128M)}, {@code used 12345K}. */
  private long peakHeapMebibytes(String side) throws IOException {
    Pattern use = Pattern.compile("(\\d+)M->\\d+M\\(|used (\\d+)K");
    try (Stream<String> lines = Files.lines(path(side + ".gc"))) {
      return lines
          .filter(line -> !line.contains("Metaspace") && !line.contains("class space"))
          .map(use::matcher)
          .filter(Matcher::find)
          .mapToLong(
              found ->
                  found.group(1) == null
                      ? Long.parseLong(found.group(2)) >>> 10
                      : Long.parseLong(found.group(1)))
          .max()
          .orElse(0);
    }
  }

  // --- every page, from outside ------------------------------------------------------------------

  private long wrongPages(long pid, long address) throws IOException {
    ByteBuffer zeros = ByteBuffer.allocateDirect((int) Pages.bytes(CHUNK_PAGES));
    ByteBuffer here = ByteBuffer.allocateDirect((int) Pages.bytes(CHUNK_PAGES));
    long wrong = 0;
    try (FileChannel arrived =
            FileChannel.open(Path.of("/proc/%d/mem".formatted(pid)), StandardOpenOption.READ);
        FileChannel original = FileChannel.open(path("memory"), StandardOpenOption.READ)) {
      for (long page = 0; page < PAGES; page += CHUNK_PAGES) {
        boolean untouched =
            data.leading(page, CHUNK_PAGES, false) == CHUNK_PAGES
                && lost.leading(page, CHUNK_PAGES, false) == CHUNK_PAGES;
        if (!untouched || !isRead(arrived, here, address + Pages.bytes(page), CHUNK_PAGES)) {
          wrong += wrongPages(arrived, original, address, page);
        } else if (here.mismatch(zeros.clear()) >= 0) {
          wrong++;
        }
      }
    }
    return wrong;
  }

  private long wrongPages(FileChannel arrived, FileChannel original, long address, long first)
      throws IOException {
    ByteBuffer here = ByteBuffer.allocateDirect(Pages.SIZE_BYTES);
    ByteBuffer there = ByteBuffer.allocateDirect(Pages.SIZE_BYTES);
    long wrong = 0;
    for (long page = first; page < first + CHUNK_PAGES; page++) {
      boolean read = isRead(arrived, here, address + Pages.bytes(page), 1);
      if (read == lost.contains(page)) {
        wrong++;
      } else if (read) {
        isRead(original, there, Pages.bytes(page), 1);
        wrong += here.equals(there) ? 0 : 1;
      }
    }
    return wrong;
  }

  /** False if not all of them can be. */
  private static boolean isRead(FileChannel from, ByteBuffer into, long position, int pages) {
    into.clear().limit((int) Pages.bytes(pages));
    try {
      while (into.hasRemaining()) {
        if (from.read(into, position + into.position()) <= 0) {
          return false;
        }
      }
      into.flip();
      return true;
    } catch (IOException e) {
      return false; // a marker: EIO
    }
  }
}
