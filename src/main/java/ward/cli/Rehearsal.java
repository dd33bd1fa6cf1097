package ward.cli;

import ch.qos.logback.classic.Level;
import ch.qos.logback.classic.Logger;
import java.io.IOException;
import java.lang.management.CompilationMXBean;
import java.lang.management.ManagementFactory;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.SeekableByteChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.locks.LockSupport;
import java.util.stream.Stream;
import org.slf4j.LoggerFactory;
import ward.destination.DestinationOutcome;
import ward.destination.DestinationPhase;
import ward.destination.DestinationSession;
import ward.destination.DestinationSettings;
import ward.destination.HugeLoss;
import ward.destination.NettySourceLink;
import ward.destination.OnRemove;
import ward.destination.SourceLoss;
import ward.kernel.Fd;
import ward.kernel.Kernel;
import ward.memory.GuestLayout;
import ward.memory.GuestRegion;
import ward.memory.Pages;
import ward.memory.TableRoom;
import ward.metrics.DestinationMetrics;
import ward.poison.LedgerJournal;
import ward.poison.Origin;
import ward.poison.PoisonEntry;
import ward.poison.Severity;
import ward.source.DepartingGuest;
import ward.source.SourceMemory;
import ward.source.SourceSession;
import ward.source.SourceSettings;
import ward.uffd.MarkerScan;
import ward.uffd.PoisonMarker;
import ward.uffd.Userfaultfd;
import ward.vcpu.ThreadGuestFactory;
import ward.wire.ControlMessage;
import ward.wire.Transport;

/**
 * A whole migration of a scratch guest, from this process to itself, before the real one: real
 * memory, real faults, real connections. Afterwards the JVM has loaded and compiled what a guest
 * would otherwise wait for; the first faults of a cold daemon take ten milliseconds and more.
 *
 * <p>It decides nothing. Where it does not work, for want of a right or of memory, the log says why
 * and the daemon goes on: what that lacks, it will say itself.
 */
final class Rehearsal {

  private static final org.slf4j.Logger log = LoggerFactory.getLogger(Rehearsal.class);
  private static final String GUEST = "rehearsal";
  private static final Duration LIMIT = Duration.ofSeconds(20);
  private static final Duration LOOK = Duration.ofMillis(2);
  private static final Duration COMPILERS_LIMIT = Duration.ofSeconds(3);
  private static final Duration COMPILERS_LOOK = Duration.ofMillis(50);
  private static final long NANOS_PER_MILLI = 1_000_000;
  private static final int THREADS = 2;
  private static final long SEED = 1;

  /**
   * Every so many pages one is lost: some hundreds, so that the way of a map is compiled, which
   * would happen beside the map otherwise.
   */
  private static final int LOST_EVERY = 16;

  private final Kernel kernel;
  private final GuestLayout layout;
  private final Path directory;
  private final long deadline = System.nanoTime() + LIMIT.toNanos();

  private Rehearsal(Kernel kernel, int pages, Path directory) {
    this.kernel = kernel;
    this.layout = new GuestLayout(GUEST, List.of(new GuestRegion(0, Pages.bytes(pages), 0)));
    this.directory = directory;
  }

  /**
   * @param pages of the scratch guest, which needs twice that in memory for a moment; 0: no
   *     rehearsal
   * @param under where the scratch guest's ledgers are for a moment
   * @return what came of it, in words
   */
  static String of(int pages, Kernel kernel, Path under) {
    if (pages == 0) {
      return "not at all";
    }
    long begin = System.nanoTime();
    String outcome = quietly(() -> inDirectory(kernel, pages, under));
    awaitCompilers();
    log.info("rehearsed for {} ms: {}", (System.nanoTime() - begin) / NANOS_PER_MILLI, outcome);
    return outcome;
  }

  /** They have more to do than the rehearsal takes, and would do it while the guest waits. */
  private static void awaitCompilers() {
    CompilationMXBean compilers = ManagementFactory.getCompilationMXBean();
    long until = System.nanoTime() + COMPILERS_LIMIT.toNanos();
    long before = -1;
    long now = compilers.getTotalCompilationTime();
    while (before != now && System.nanoTime() < until) {
      LockSupport.parkNanos(COMPILERS_LOOK.toNanos());
      before = now;
      now = compilers.getTotalCompilationTime();
    }
  }

  private interface Act {
    String play() throws Exception;
  }

  /** What a scratch guest goes through is nobody's news. */
  private static String quietly(Act act) {
    Logger root = (Logger) LoggerFactory.getLogger(org.slf4j.Logger.ROOT_LOGGER_NAME);
    Level before = root.getLevel();
    root.setLevel(Level.OFF);
    try {
      return act.play();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      return "interrupted";
    } catch (Exception | LinkageError e) { // see the class's comment
      return "it did not come to its end: " + e;
    } finally {
      root.setLevel(before);
    }
  }

  private static String inDirectory(Kernel kernel, int pages, Path under) throws Exception {
    Path directory = Files.createTempDirectory(under, "ward-rehearsal");
    try {
      return new Rehearsal(kernel, pages, directory).play();
    } finally {
      delete(directory);
    }
  }

  private static void delete(Path directory) throws IOException {
    List<Path> all;
    try (Stream<Path> found = Files.walk(directory)) {
      all = found.sorted(Comparator.reverseOrder()).toList();
    }
    for (Path path : all) {
      Files.delete(path);
    }
  }

  private String play() throws Exception {
    MapRehearsal.play(directory.resolve("map"));
    GuestBooks books = books("source");
    try (Fd file = kernel.createMemfd(GUEST, layout.fileBytes());
        SourceMemory memory =
            SourceMemory.map(kernel, filled(file), layout, SourceMemory.Access.READ);
        LedgerJournal journal = books.open(GUEST);
        Transport transport = Transports.open("ward-" + GUEST)) {
      journal.append(losses());
      SourceRun.Parts parts =
          new SourceRun.Parts(
              new SourceSettings(GUEST, true, 0, Optional.of(Duration.ZERO), LIMIT, Duration.ZERO),
              kernel,
              new SourceSession.Subject(memory, DepartingGuest.asleep(new byte[0]), journal),
              Optional.empty(),
              Optional.empty(),
              books);
      InetSocketAddress anyPort = new InetSocketAddress(InetAddress.getLoopbackAddress(), 0);
      try (SourceRun source = SourceRun.listen(parts, transport, anyPort)) {
        return playDestination(source, transport);
      }
    }
  }

  private GuestBooks books(String side) {
    return new GuestBooks(directory.resolve(side), GUEST, Duration.ZERO);
  }

  /** No page holds zeros only: those go another way. */
  private Path filled(Fd file) throws IOException {
    Path path = Path.of("/proc/self/fd/" + file.number());
    ByteBuffer ones = ByteBuffer.allocate(1 << 20);
    while (ones.hasRemaining()) {
      ones.put((byte) 1);
    }
    try (SeekableByteChannel channel = Files.newByteChannel(path, StandardOpenOption.WRITE)) {
      while (channel.position() < layout.fileBytes()) {
        long left = layout.fileBytes() - channel.position();
        channel.write(ones.clear().limit((int) Math.min(left, ones.capacity())));
      }
    }
    return path;
  }

  private List<PoisonEntry> losses() {
    Origin origin = new Origin(GUEST, Instant.EPOCH, Origin.Discovery.DECLARED);
    List<PoisonEntry> losses = new ArrayList<>();
    for (long page = 0; page < layout.pageCount(); page += LOST_EVERY) {
      losses.add(
          new PoisonEntry(
              layout.addressOf(page),
              PoisonEntry.MIN_PAGE_SHIFT,
              Severity.ACTION_REQUIRED,
              origin));
    }
    return losses;
  }

  private String playDestination(SourceRun source, Transport transport) throws Exception {
    DestinationMetrics metrics = new DestinationMetrics(waits -> {});
    GuestBooks books = books("destination");
    DestinationSettings settings =
        new DestinationSettings(
            source.address(),
            1,
            GUEST,
            Optional.empty(),
            SourceLoss.PAUSE_AT_ONCE,
            LIMIT,
            Duration.ZERO,
            OnRemove.KEEP,
            HugeLoss.REFUSE);
    try (PoisonMarker lost = MarkerWish.UFFD.open(kernel);
        Userfaultfd userfaultfd = Userfaultfd.open(kernel, lost);
        NettySourceLink link = new NettySourceLink(transport);
        DestinationSession session =
            new DestinationSession(
                settings,
                new DestinationSession.Parts(
                    new ThreadGuestFactory(kernel, books, THREADS, SEED, (t, p, poisoned, h) -> {}),
                    books::open,
                    userfaultfd,
                    new MarkerScan(kernel, lost),
                    Optional.empty(),
                    TableRoom.inThisProcess(1)),
                link,
                new DestinationEvents(metrics, books.lines(), log))) {
      return migrate(session, source);
    }
  }

  /** Three quarters of the pages by faults, the others by the stream. */
  private String migrate(DestinationSession session, SourceRun source)
      throws InterruptedException, ExecutionException, TimeoutException {
    Future<DestinationOutcome> outcome = session.start().toCompletableFuture();
    while (!outcome.isDone() && !isFaultedEnough(session)) {
      requireTime();
      Thread.sleep(LOOK.toMillis());
    }
    source.commands().execute(new ControlMessage.StreamControl(false));
    return outcome.get(leftNanos(), TimeUnit.NANOSECONDS).text();
  }

  private static boolean isFaultedEnough(DestinationSession session) {
    return session.phase() == DestinationPhase.RUNNING
        && session.report().unresolved() < session.report().pagesTotal() / 4;
  }

  private void requireTime() throws TimeoutException {
    if (leftNanos() <= 0) {
      throw new TimeoutException("after " + LIMIT.toSeconds() + " s");
    }
  }

  private long leftNanos() {
    return deadline - System.nanoTime();
  }
}
