package ward.testbed;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import ward.cli.LayoutFile;
import ward.memory.PageSet;
import ward.poison.LedgerJournal;
import ward.poison.Origin;
import ward.testbed.lab.DirectoryTree;
import ward.vcpu.TouchPlan;
import ward.vcpu.TouchPlan.Touch;

/** The files that all sides of one case share, in memory, and what is checked of each. */
final class BenchGround implements AutoCloseable {

  private final BenchCase of;
  private final BenchGuest guest;
  private final Path directory;
  private final BenchVcpus vcpus; // null where threads touch the memory
  private final long tscKilohertz;
  private final Duration limit;

  BenchGround(BenchCase of, long seed, Duration limit) throws IOException {
    this.of = of;
    this.limit = limit;
    guest = new BenchGuest(of, seed);
    directory = Files.createTempDirectory(Path.of("/dev/shm"), "ward-bench-");
    guest.writeTo(memory());
    LayoutFile.write(layout(), guest.layout());
    if (!guest.lost().isEmpty()) {
      writeLosses();
    }
    boolean kvm = of.toucher() == BenchCase.Toucher.VCPUS;
    vcpus = kvm ? new BenchVcpus(of, guest) : null;
    tscKilohertz = kvm ? YardstickProcess.tscKilohertz(deadline()) : 0;
    if (kvm) {
      vcpus.writeTo(memory(), states(), registers());
    }
  }

  /** Of the poison map on the wire. */
  long mapBytes() throws IOException {
    return guest.lost().isEmpty()
        ? 0
        : BenchWire.mapBytes(LedgerJournal.read(path("declared")).ledger().effective());
  }

  private void writeLosses() throws IOException {
    Origin origin = new Origin("bench", Instant.now(), Origin.Discovery.DECLARED);
    try (LedgerJournal journal = LedgerJournal.open(path("declared"), guest.layout().guest())) {
      journal.append(LostPageEntry.of(guest.layout(), guest.lost(), origin));
    }
    Files.write(ranges(), rangesOfLosses().array());
  }

  /** First page and count of every run, as the yardstick reads them. */
  private ByteBuffer rangesOfLosses() {
    List<Long> words = new ArrayList<>();
    guest
        .lost()
        .forEachRun(
            run -> {
              words.add(run.firstPage());
              words.add(run.endPage() - run.firstPage());
            });
    ByteBuffer ranges =
        ByteBuffer.allocate(words.size() * Long.BYTES).order(ByteOrder.nativeOrder());
    words.forEach(ranges::putLong);
    return ranges;
  }

  BenchCase of() {
    return of;
  }

  BenchGuest guest() {
    return guest;
  }

  Path directory() {
    return directory;
  }

  Path path(String name) {
    return directory.resolve(name);
  }

  Path memory() {
    return path("memory");
  }

  Path layout() {
    return path("layout.json");
  }

  /** What the vCPUs begin with, as Ward takes it. */
  Path states() {
    return path("vcpus");
  }

  /** And as the yardstick takes it. */
  Path registers() {
    return path("registers");
  }

  Path ranges() {
    return path("ranges");
  }

  Path plan() {
    return path("plan");
  }

  /** For one round. */
  Deadline deadline() {
    return new Deadline(limit);
  }

  /** A plan that nobody has begun; one page where nothing is asked for on demand. */
  void layOutPlan() throws IOException {
    Files.deleteIfExists(plan());
    TouchPlan.write(plan(), of.threads() > 0 ? guest.order() : new int[] {healthyPage()});
  }

  private int healthyPage() {
    int page = 0;
    while (guest.isLost(page)) {
      page++;
    }
    return page;
  }

  /** A source's ledger with nothing in it but what is declared lost. */
  void layOutLedger(Path ledger) throws IOException {
    DirectoryTree.delete(ledger);
    if (guest.lost().isEmpty()) {
      return;
    }
    Files.createDirectory(ledger);
    try (Stream<Path> files = Files.list(path("declared"))) {
      for (Path file : files.toList()) {
        Files.copy(file, ledger.resolve(file.getFileName()));
      }
    }
  }

  /** What an earlier round left there. */
  void clear(Path path) throws IOException {
    DirectoryTree.delete(path);
  }

  /** Whether every thread has come to the end of its part of the plan. */
  boolean isPlanDone() throws IOException {
    return isDone(1);
  }

  /** Whether every thread is where {@link Samples#steady} begins. */
  boolean isHalfDone() throws IOException {
    return isDone(0.5);
  }

  private boolean isDone(double part) throws IOException {
    for (int thread = 0; thread < of.threads(); thread++) {
      int from = Samples.share(of.touches(), thread, of.threads());
      int to = Samples.share(of.touches(), thread + 1, of.threads());
      if (!TouchPlan.isDone(plan(), from + (int) (part * (to - from)) - 1)) {
        return false;
      }
    }
    return true;
  }

  /**
   * What came of the plan, when every touch has seen what it should.
   *
   * @throws IOException if one has not
   */
  Touch[] touches(long pid, long hostAddress) throws IOException {
    if (of.threads() == 0) {
      return new Touch[0];
    }
    Touch[] touches =
        vcpus == null ? TouchPlan.read(plan()) : vcpus.touches(pid, hostAddress, tscKilohertz);
    for (Touch touch : touches) {
      boolean lost = guest.isLost(touch.page());
      if (touch.lost() != lost || !lost && touch.seen() != guest.firstWord(touch.page())) {
        throw new IOException(
            "page %d: a thread %s, and should have %s"
                .formatted(
                    touch.page(),
                    touch.lost() ? "took SIGBUS" : "saw 0x%x".formatted(touch.seen()),
                    lost ? "taken SIGBUS" : "seen 0x%x".formatted(guest.firstWord(touch.page()))));
      }
    }
    return touches;
  }

  /**
   * Looks at every byte and every marker of a destination, from outside.
   *
   * @throws IOException if one is not as it should be
   */
  void check(long pid, long hostAddress) throws IOException {
    try (OutsideView view =
            new OutsideView(pid, guest.layout(), List.of(hostAddress), of.hugePages() > 0);
        FileChannel source = FileChannel.open(memory(), StandardOpenOption.READ)) {
      OutsideView.Faults faults = view.faults(source, guest.lost(), written());
      if (faults.wrong() > 0 || faults.healed() > 0) {
        throw new IOException(
            "%d healthy pages are wrong, %d lost ones can be read"
                .formatted(faults.wrong(), faults.healed()));
      }
    }
  }

  private PageSet written() {
    return vcpus == null ? new PageSet() : vcpus.written();
  }

  @Override
  public void close() throws IOException {
    DirectoryTree.delete(directory);
  }
}
