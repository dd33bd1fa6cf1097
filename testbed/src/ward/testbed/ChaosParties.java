package ward.testbed;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.InetSocketAddress;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import ward.cli.LayoutFile;
import ward.memory.GuestLayout;
import ward.memory.PageSet;
import ward.poison.LedgerException;
import ward.poison.LedgerJournal;
import ward.poison.Origin;
import ward.poison.PoisonEntry;

/** Starts the daemons of a run, each in its turn; the files of a run are where they expect them. */
final class ChaosParties implements AutoCloseable {

  /** Longer than any fault lasts, also where the machine is busy with something else. */
  private static final String SOURCE_LOSS_SECONDS = "20";

  private static final int PACE_MICROS_MAX = 300;
  private static final String HANDSHAKE_SECONDS = "60";

  private final ChaosPlan plan;
  private final ChaosGuest guest;
  private final ChaosMeans means;
  private final Path directory;
  private final Map<ChaosSide, ChaosDisk> disks = new EnumMap<>(ChaosSide.class);
  private int sources;
  private int destinations;

  /**
   * @param directory holds the guest's memory in a file {@code memory}, and gets everything else
   */
  ChaosParties(ChaosPlan plan, ChaosGuest guest, ChaosMeans means, Path directory)
      throws IOException {
    this.plan = plan;
    this.guest = guest;
    this.means = means;
    this.directory = directory;
    LayoutFile.write(path("layout.json"), guest.layout());
    Files.write(path("vcpus"), guest.walker().vcpuStates());
    for (ChaosSide side : ChaosSide.values()) {
      SteppedClock.set(clock(side));
    }
    mountDisks();
    declare();
  }

  private Path path(String name) {
    return directory.resolve(name);
  }

  /** Where the time of day of a side's daemons is set. */
  Path clock(ChaosSide side) {
    return path("clock-" + side);
  }

  Path ledger(ChaosSide side) {
    return disk(side).resolve("ledger");
  }

  /** What may be a file system of its own. */
  Path disk(ChaosSide side) {
    return path("disk-" + side);
  }

  /** Fills up a side's file system, if that is one of its own. */
  void fillDisk(ChaosSide side) throws IOException {
    disks.get(side).fill();
  }

  /** Frees all file systems that are full. */
  void freeDisks() {
    disks.values().forEach(ChaosParties::free);
  }

  void freeDisk(ChaosSide side) {
    free(disks.get(side));
  }

  private static void free(ChaosDisk disk) {
    try {
      disk.free();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private void mountDisks() throws IOException {
    for (ChaosSide side : ChaosSide.values()) {
      boolean full =
          plan.faults().stream()
              .anyMatch(
                  fault -> fault.effect() instanceof ChaosAct.FillDisk fill && fill.side() == side);
      if (full) {
        disks.put(side, ChaosDisk.mount(disk(side)));
      } else {
        Files.createDirectories(disk(side));
      }
    }
  }

  @Override
  public void close() throws IOException {
    for (ChaosDisk disk : disks.values()) {
      disk.close();
    }
  }

  /** What the guest said at the source; only if it ran there. */
  Path sourceLog() {
    return path("guest-SOURCE.log");
  }

  /** What the guest said at the destination that was started last. */
  Path destinationLog() {
    return path("guest-DESTINATION-%d.log".formatted(destinations));
  }

  private void declare() throws LedgerException {
    Origin origin = new Origin("chaos", Instant.now(), Origin.Discovery.DECLARED);
    List<PoisonEntry> entries = LostPageEntry.of(guest.layout(), guest.declared(), origin);
    if (!entries.isEmpty()) {
      try (LedgerJournal journal =
          LedgerJournal.open(ledger(ChaosSide.SOURCE), guest.layout().guest())) {
        journal.append(entries);
      }
    }
  }

  /** What a source that is started has to do with those before it. */
  enum Succession {
    /** The guest is whole here; if it can, it runs. */
    WHOLE,
    /** The one before died: it goes on with what that has begun. */
    REPLACEMENT,
    /** The guest did not survive elsewhere: the operator lets it begin again from this memory. */
    BEGIN_AGAIN
  }

  /** A daemon that serves the guest's memory; it does not listen yet. */
  ChaosDaemon startSource(Succession succession) throws IOException {
    List<String> command = new ArrayList<>(List.of("source", "--json", "--listen", "127.0.0.1:0"));
    command.addAll(List.of("--host", "chaos-source"));
    command.addAll(List.of("--memory", path("memory").toString()));
    command.addAll(List.of("--layout", path("layout.json").toString()));
    command.addAll(List.of("--ledger", ledger(ChaosSide.SOURCE).toString()));
    if (plan.guest().isVirtualMachine()) {
      command.addAll(List.of("--vcpu-state", path("vcpus").toString()));
    }
    if (succession == Succession.BEGIN_AGAIN) {
      command.add("--new-session");
    }
    if (plan.guest() == ChaosPlan.Mover.MOVED && succession == Succession.WHOLE) {
      command.addAll(List.of("--run", "--guest-log", sourceLog().toString()));
    }
    if (plan.streamHeldMillis() > 0) {
      command.add("--pause-stream");
    }
    if (!guest.found().isEmpty()) {
      command.addAll(List.of("--inject-unreadable", addresses(guest.layout(), guest.found())));
    }
    return start(ChaosSide.SOURCE, ++sources, command);
  }

  private static String addresses(GuestLayout layout, PageSet pages) {
    List<String> addresses = new ArrayList<>();
    pages.forEach(page -> addresses.add("0x%x".formatted(layout.addressOf(page))));
    return String.join(",", addresses);
  }

  /** A process that owns the memory at the destination; it does not listen yet. */
  HolderProcess startHolder() throws IOException {
    return HolderProcess.start(
        directory,
        path("layout.json"),
        plan.vcpus(),
        plan.seed(),
        plan.seed() % PACE_MICROS_MAX,
        ChaosMeans.quick());
  }

  /** A daemon that is about to come for it. */
  ChaosDaemon startDestination(InetSocketAddress source) throws IOException {
    destinations++;
    List<String> command = new ArrayList<>(List.of("destination", "--json", "--keep"));
    command.addAll(List.of("--connect", "127.0.0.1:" + source.getPort()));
    command.addAll(List.of("--host", "chaos-destination"));
    command.addAll(List.of("--ledger", ledger(ChaosSide.DESTINATION).toString()));
    if (plan.guest() == ChaosPlan.Mover.HELD) {
      command.addAll(List.of("--memory-owner", path("owner.sock").toString()));
    } else {
      command.addAll(List.of("--vcpu", plan.guest().isVirtualMachine() ? "kvm" : "thread"));
      command.addAll(List.of("--threads", Integer.toString(plan.vcpus())));
      command.addAll(List.of("--seed", Long.toString(plan.seed())));
      command.addAll(List.of("--marker", plan.marker()));
      command.addAll(List.of("--guest-log", destinationLog().toString()));
    }
    command.addAll(List.of("--streams", Integer.toString(plan.streams())));
    command.addAll(List.of("--source-loss-after", SOURCE_LOSS_SECONDS));
    return start(ChaosSide.DESTINATION, destinations, command);
  }

  private ChaosDaemon start(ChaosSide side, int number, List<String> command) throws IOException {
    String name = "%s-%d".formatted(side, number);
    Path socket = path(name + ".sock");
    command.addAll(List.of("--control", socket.toString()));
    command.addAll(List.of("--handshake-timeout", HANDSHAKE_SECONDS));
    return new ChaosDaemon(
        Daemon.start(directory, name, means.around(side, clock(side)), command),
        socket,
        path(name + ".err"));
  }
}
