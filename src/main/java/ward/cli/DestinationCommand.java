package ward.cli;

import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.concurrent.CompletableFuture;
import java.util.function.Consumer;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;
import ward.destination.DestinationSession;
import ward.destination.DestinationSettings;
import ward.destination.HugeLoss;
import ward.destination.NettySourceLink;
import ward.destination.OnRemove;
import ward.destination.SourceLoss;
import ward.guest.Guest;
import ward.guest.GuestMemory;
import ward.guest.MemoryKind;
import ward.kernel.Kernel;
import ward.kernel.NativeKernel;
import ward.memory.DirectMemory;
import ward.memory.TableRoom;
import ward.metrics.DestinationMetrics;
import ward.metrics.MetricsEndpoint;
import ward.source.SourceSettings;
import ward.uffd.MarkerKind;
import ward.uffd.MarkerScan;
import ward.uffd.PoisonMarker;
import ward.uffd.Userfaultfd;
import ward.uffd.UserfaultfdException;
import ward.wire.Transport;
import ward.wire.TransportException;

/** {@code ward destination}. */
@Command(
    name = "destination",
    description = {
      "Takes a guest from a `ward source`: puts its poison in place, runs it, and brings its pages on"
          + " demand and in the background.",
      "Runs until the guest ends. A guest whose source left before the end stays here, paused, until"
          + " SIGTERM."
    })
final class DestinationCommand implements Callable<Integer> {

  private static final Logger log = LoggerFactory.getLogger("ward.destination");
  private static final long ANNOUNCE_MILLIS_MAX = 3_600_000;
  private static final long SOURCE_LOSS_SECONDS_MAX = 1_000_000_000;

  @Option(
      names = "--connect",
      required = true,
      paramLabel = "HOST:PORT",
      description = "Where the source listens.")
  HostPort connect;

  @Option(
      names = "--ledger",
      required = true,
      paramLabel = "DIR",
      description = "Where this host keeps what is lost; made if it is not there.")
  Path ledger;

  @Option(
      names = "--vcpu",
      paramLabel = "kvm|thread|auto",
      defaultValue = "auto",
      description =
          "What touches the memory: KVM, or native threads where no guest can run; auto takes KVM if"
              + " /dev/kvm opens (default: ${DEFAULT-VALUE}).")
  VcpuKind vcpu;

  @Option(
      names = "--threads",
      paramLabel = "N",
      defaultValue = "2",
      description = "With --vcpu thread: how many threads (default: ${DEFAULT-VALUE}).")
  int threads;

  @Option(
      names = "--seed",
      paramLabel = "N",
      defaultValue = "7",
      description = "With --vcpu thread: draws their order (default: ${DEFAULT-VALUE}).")
  long seed;

  @Option(
      names = "--touch-plan",
      paramLabel = "FILE",
      description =
          "With --vcpu thread, for measurements: the threads load one word of each page that FILE"
              + " names, in its order, and write into FILE what each load cost (testbed/bench makes"
              + " such files).")
  Path touchPlan;

  @Option(
      names = "--marker",
      paramLabel = "uffd|hwpoison|sigbus|auto",
      defaultValue = "auto",
      description =
          "What makes a lost page raise SIGBUS: UFFDIO_POISON (Linux 6.6), MADV_HWPOISON (takes one"
              + " page of this host out of use; CAP_SYS_ADMIN), or a mapping of an empty file; auto"
              + " takes the first that works here, as `ward check` shows (default:"
              + " ${DEFAULT-VALUE}).")
  MarkerWish marker;

  @Option(
      names = "--memory",
      paramLabel = "anonymous|memfd|hugetlb",
      defaultValue = "anonymous",
      description =
          "What the guest's memory is made of: private anonymous memory, or a memfd that this daemon"
              + " maps a second time: it writes what arrives there, and then maps it in the guest"
              + " (UFFDIO_CONTINUE; Linux 5.14); or the same of huge pages of 2 MiB that this host has"
              + " set aside (hugetlbfs; Linux 6.7) (default: ${DEFAULT-VALUE}).")
  MemoryKind memory;

  @Option(
      names = "--huge-loss",
      paramLabel = "refuse|widen",
      defaultValue = "refuse",
      description =
          "With --memory hugetlb, where a lost page takes the 2 MiB around it along: refuse a guest"
              + " that has lost less than whole huge pages (what it loses later leaves its 2 MiB"
              + " unresolved), or widen: the whole huge page is lost, on both hosts and in both"
              + " ledgers (default: ${DEFAULT-VALUE}).")
  HugeLoss hugeLoss;

  @Option(
      names = "--collapse",
      description =
          "When the guest is here, whole: make huge pages of its memory that arrived in small ones"
              + " (MADV_COLLAPSE, Linux 6.1), except around lost pages. It runs meanwhile; what"
              + " touches a range that is being copied waits.")
  boolean collapse;

  @Option(
      names = "--memory-owner",
      paramLabel = "SOCKET",
      description =
          "The guest's memory and vCPUs belong to another process, which listens on this UNIX socket"
              + " and hands over its userfaultfd (proto/owner.proto). If this daemon dies, the guest"
              + " waits there, and the same command goes on where it was. Needs CAP_SYS_ADMIN and"
              + " CAP_SYS_PTRACE.")
  Path memoryOwner;

  @Option(
      names = "--streams",
      paramLabel = "N",
      defaultValue = "1",
      description =
          "Background connections, 1 to 16 (default: ${DEFAULT-VALUE}). Each stages 2 MiB of pages on"
              + " either side, and no more.")
  int streams;

  @Option(
      names = "--staging",
      paramLabel = "SIZE",
      description =
          "The most memory that pages of the stream may wait in here, all connections taken together,"
              + " with K, M, G or T. It must hold 2M for each of --streams; more is allowed and not"
              + " used (default: 2M for each).")
  StagingSize staging;

  @Option(
      names = "--console",
      paramLabel = "FILE",
      description =
          "Where to append what the guest writes to its first serial port, if it has one.")
  Path consoleOutput;

  @Option(
      names = "--console-input",
      paramLabel = "FILE",
      description =
          "What is appended to this file, or written to this FIFO, is typed at the guest's first"
              + " serial port.")
  Path consoleInput;

  @Option(
      names = "--control",
      paramLabel = "SOCKET",
      description = "UNIX socket for `ward control`; only its owner may use it.")
  Path control;

  @Option(
      names = "--guest-log",
      paramLabel = "FILE",
      description =
          "Where to write what the guest reports: a line for each 32-bit word it writes to I/O port"
              + " 0x500 (vCPU, word), or with --vcpu thread for each page.")
  Path guestLog;

  @Option(
      names = "--keep",
      description =
          "When guest and migration have ended, keep the memory mapped until SIGTERM, for a look"
              + " from outside by /proc/PID/mem.")
  boolean keep;

  @Option(
      names = "--offer",
      paramLabel = "HOST:PORT",
      description =
          "When the guest is here, whole: offer it to the next destination, which connects to this"
              + " address. It runs on until one has taken it.")
  HostPort offer;

  @Option(
      names = "--bandwidth",
      paramLabel = "RATE",
      defaultValue = "none",
      description =
          "With --offer: bytes a second that the background stream to the next destination may send, as"
              + " for `ward source` (default: ${DEFAULT-VALUE}).")
  ByteRate bandwidth;

  @Option(
      names = "--announce-poison",
      description =
          "Tell the guest of every lost page when it is resumed, so that its kernel takes them out of"
              + " use before anything touches them: machine checks that require no action.")
  boolean announcePoison;

  @Option(
      names = "--announce-interval",
      paramLabel = "MILLIS",
      defaultValue = "10",
      description =
          "With --announce-poison: the least time from one page to the next (default:"
              + " ${DEFAULT-VALUE}).")
  long announceMillis;

  @Option(
      names = "--on-source-loss",
      paramLabel = "wait|pause|poison",
      defaultValue = "wait",
      description =
          "When the source cannot be reached any more: wait (the guest runs, what needs a missing page"
              + " waits), pause the guest, or poison: every page that never arrived is lost for good,"
              + " in the ledger too, and the guest runs on (default: ${DEFAULT-VALUE}).")
  SourceLoss.Policy onSourceLoss;

  @Option(
      names = "--source-loss-after",
      paramLabel = "SECONDS",
      defaultValue = "300",
      description =
          "How long to try before the source is taken for lost; 0 means at the first broken"
              + " connection. With --on-source-loss wait it counts only while the guest has not run"
              + " here (default: ${DEFAULT-VALUE}).")
  long sourceLossSeconds;

  @Option(
      names = "--on-remove",
      paramLabel = "keep|unpoison",
      defaultValue = "keep",
      description =
          "What becomes of a lost page that the guest gives back, by a balloon for instance: keep (it"
              + " stays lost), or unpoison: it is fresh memory, its next touch reads zeros, and the"
              + " ledger says so (default: ${DEFAULT-VALUE}).")
  OnRemove onRemove;

  @Option(
      names = "--host",
      paramLabel = "NAME",
      description = "This host's name in the ledger (default: what the system says).")
  String host;

  @Mixin HandshakeOption handshake;

  @Mixin LedgerPatienceOption ledgerPatience;

  @Mixin RehearsalOption rehearsal;

  @Mixin MetricsOption prometheus;

  @Option(names = "--json", description = "Print the result as a JSON object.")
  boolean json;

  @Spec CommandSpec spec;

  @Override
  public Integer call() {
    // Before anything is made: it refuses what is no usage.
    DestinationSettings settings = settings();
    requireStagingForStreams();
    prometheus.requireLoopback();
    rehearsal.requireAllowed();
    requireBandwidthOfOurs();
    Kernel kernel = NativeKernel.load();
    return memoryOwner == null ? intoOurMemory(settings, kernel) : intoOwned(settings, kernel);
  }

  /** Of a number of streams that is allowed. */
  private void requireStagingForStreams() {
    if (staging != null) {
      staging.requireEnoughFor(streams);
    }
  }

  private void requireBandwidthOfOurs() {
    if (offer == null && bandwidth.bytesPerSecond() > 0) {
      throw new CommandFailure(
          ExitCode.USAGE,
          "--bandwidth without --offer: nothing is streamed from here; the stream to this host is limited by --bandwidth at its source");
    }
  }

  private int intoOurMemory(DestinationSettings settings, Kernel kernel) {
    refuseWhatHugePagesCannotDo();
    try (GuestLog reports = GuestLog.open(guestLog);
        GuestConsole console = GuestConsole.open(consoleOutput, consoleInput);
        PoisonMarker lost = openMarker(kernel);
        Userfaultfd userfaultfd = openUserfaultfd(kernel, lost);
        Transport transport = Transports.open("ward-destination");
        NettySourceLink link = new NettySourceLink(transport)) {
      GuestBooks books = new GuestBooks(ledger, HostName.orSystems(host), ledgerPatience.limit());
      GuestChoice choice =
          GuestChoice.of(
              vcpu,
              memory,
              kernel,
              books,
              reports,
              console.console(),
              new GuestChoice.Threads(threads, seed, touchPlan));
      log.info("{}", choice.description());
      log.info("lost pages are marked by {}", lost.kind().description());
      DestinationSession.Parts parts =
          new DestinationSession.Parts(
              choice.factory(),
              books::open,
              userfaultfd,
              new MarkerScan(kernel, lost),
              Optional.empty(),
              room());
      rehearsal.play(kernel);
      Network network = new Network(transport, link, onward(kernel, transport));
      return run(settings, parts, network, books, choice, lost.kind(), session -> {});
    }
  }

  private PoisonMarker openMarker(Kernel kernel) {
    return memory == MemoryKind.HUGETLB ? MarkerWish.openForHugePages(kernel) : marker.open(kernel);
  }

  private void refuseWhatHugePagesCannotDo() {
    if (memory != MemoryKind.HUGETLB) {
      return;
    }
    refuseWithHugePages(
        marker != MarkerWish.AUTO && marker != MarkerWish.UFFD,
        "--marker %s: in huge pages only uffd works".formatted(optionOf(marker)));
    refuseWithHugePages(collapse, "--collapse: its pages are huge already");
    refuseWithHugePages(
        onRemove != OnRemove.KEEP,
        "--on-remove unpoison: only whole huge pages are given back; leave it out");
    refuseWithHugePages(
        onSourceLoss == SourceLoss.Policy.POISON,
        "--on-source-loss poison: with no source left, nobody could agree to lose the rest of a huge page; use wait or pause");
  }

  private static void refuseWithHugePages(boolean wanted, String text) {
    if (wanted) {
      throw new CommandFailure(ExitCode.USAGE, "--memory hugetlb with " + text);
    }
  }

  private static String optionOf(Enum<?> choice) {
    return choice.name().toLowerCase(Locale.ROOT);
  }

  /** The descriptor, and so every wait of a guest's thread, outlives this process. */
  private int intoOwned(DestinationSettings settings, Kernel kernel) {
    refuseWhatIsTheOwners();
    TableRoom room = room();
    try (OwnedHome owned = OwnedHome.take(kernel, memoryOwner, settings.host(), room);
        Transport transport = Transports.open("ward-destination");
        NettySourceLink link = new NettySourceLink(transport)) {
      GuestBooks books = new GuestBooks(ledger, settings.host(), ledgerPatience.limit());
      log.info("{}", owned.choice().description());
      if (!owned.hasRun()) { // a guest that waits for a new daemon waits for nothing else
        rehearsal.play(kernel);
      }
      return run(
          settings,
          owned.parts(books::open, room),
          new Network(transport, link, Optional.empty()),
          books,
          owned.choice(),
          MarkerKind.UFFD,
          owned::watch);
    }
  }

  /** What would have no effect is refused rather than ignored. */
  private void refuseWhatIsTheOwners() {
    for (String option :
        List.of(
            "--memory",
            "--huge-loss",
            "--collapse",
            "--vcpu",
            "--threads",
            "--seed",
            "--touch-plan",
            "--console",
            "--console-input",
            "--guest-log",
            "--offer",
            "--announce-poison",
            "--announce-interval")) {
      if (spec.commandLine().getParseResult().hasMatchedOption(option)) {
        throw new CommandFailure(
            ExitCode.USAGE,
            "%s with --memory-owner: the vCPUs are the owner's; give it there, or leave it out"
                .formatted(option));
      }
    }
    if (onRemove != OnRemove.KEEP) {
      throw new CommandFailure(
          ExitCode.USAGE,
          "--on-remove unpoison with --memory-owner: a daemon that takes over could not tell what was given up; leave it out");
    }
    if (marker != MarkerWish.AUTO && marker != MarkerWish.UFFD) {
      throw new CommandFailure(
          ExitCode.USAGE,
          "--marker %s with --memory-owner; in the memory of another process only uffd works"
              .formatted(optionOf(marker)));
    }
  }

  /** A page's state is also where its second mapping is, and with what serves the next host. */
  private TableRoom room() {
    int tables = 1 + (memory == MemoryKind.ANONYMOUS ? 0 : 1) + (offer == null ? 0 : 1);
    CompletableFuture.runAsync(DirectMemory::now); // it is asked again while the guest is paused
    return TableRoom.inThisProcess(tables);
  }

  /** All that connects this daemon with others. */
  private record Network(Transport transport, NettySourceLink link, Optional<Onward> onward) {}

  private int run(
      DestinationSettings settings,
      DestinationSession.Parts parts,
      Network network,
      GuestBooks books,
      GuestChoice choice,
      MarkerKind marker,
      Consumer<DestinationSession> before) {
    DestinationMetrics metrics = new DestinationMetrics(DestinationCommand::tellOfWaits);
    try (DestinationSession session =
        new DestinationSession(
            settings, parts, network.link(), new DestinationEvents(metrics, books.lines(), log))) {
      before.accept(session);
      books.lines().locateBy(() -> memoryOf(session.guest()));
      DestinationRun run =
          new DestinationRun(session, books, metrics, choice, marker, network.onward());
      try (ControlServer commands = ControlServer.listen(network.transport(), control, run);
          MetricsOption.AutoCloseableEndpoint endpoint =
              prometheus.listen(
                  () -> numbers(session, metrics, books, choice, marker).registry())) {
        DestinationRun.Ending ending = run.toTheEnd(new DestinationRun.Afterwards(keep, collapse));
        print(ending);
        return ending.exitCode().code();
      }
    } catch (TransportException e) {
      throw new CommandFailure(ExitCode.HOST_REFUSED, e.getMessage());
    } catch (IOException e) {
      throw new CommandFailure(ExitCode.INPUT_REFUSED, "--offer: " + e.getMessage());
    }
  }

  private static GuestMemory memoryOf(Guest guest) {
    return guest == null ? null : guest.memory();
  }

  private static MetricsEndpoint.Destination numbers(
      DestinationSession session,
      DestinationMetrics metrics,
      GuestBooks books,
      GuestChoice choice,
      MarkerKind marker) {
    return new MetricsEndpoint.Destination(
        Main.version(),
        choice.name(),
        MarkerCheck.optionOf(marker),
        session::phase,
        session::report,
        metrics,
        books.counts());
  }

  private static void tellOfWaits(DestinationMetrics.WaitsOverBreak waits) {
    log.info(
        "over the break {} threads waited for pages, the longest {} ms",
        waits.waiters(),
        Math.round(waits.longestMillis()));
  }

  private Optional<Onward> onward(Kernel kernel, Transport transport) {
    SourceSettings settings =
        new SourceSettings(
            HostName.orSystems(host),
            false,
            bandwidth.bytesPerSecond(),
            Optional.empty(),
            handshake.limit(),
            ledgerPatience.limit());
    return Optional.ofNullable(offer)
        .map(address -> new Onward(kernel, transport, address.resolve(), settings));
  }

  private DestinationSettings settings() {
    try {
      return new DestinationSettings(
          connect.resolve(),
          streams,
          HostName.orSystems(host),
          announceEvery(),
          sourceLoss(),
          handshake.limit(),
          ledgerPatience.limit(),
          onRemove,
          hugeLoss);
    } catch (IllegalArgumentException e) {
      throw new CommandFailure(ExitCode.USAGE, "--streams: " + e.getMessage());
    }
  }

  private SourceLoss sourceLoss() {
    if (sourceLossSeconds < 0 || sourceLossSeconds > SOURCE_LOSS_SECONDS_MAX) {
      throw new CommandFailure(
          ExitCode.USAGE,
          "--source-loss-after %d; 0 to %d s are allowed"
              .formatted(sourceLossSeconds, SOURCE_LOSS_SECONDS_MAX));
    }
    return new SourceLoss(onSourceLoss, Duration.ofSeconds(sourceLossSeconds));
  }

  private Optional<Duration> announceEvery() {
    if (announceMillis < 1 || announceMillis > ANNOUNCE_MILLIS_MAX) {
      throw new CommandFailure(
          ExitCode.USAGE,
          "--announce-interval %d; 1 to %d ms are allowed"
              .formatted(announceMillis, ANNOUNCE_MILLIS_MAX));
    }
    return announcePoison ? Optional.of(Duration.ofMillis(announceMillis)) : Optional.empty();
  }

  private static Userfaultfd openUserfaultfd(Kernel kernel, PoisonMarker marker) {
    try {
      return Userfaultfd.open(kernel, marker);
    } catch (UserfaultfdException e) {
      throw new CommandFailure(ExitCode.HOST_REFUSED, e.getMessage());
    }
  }

  private void print(DestinationRun.Ending ending) {
    PrintWriter out = spec.commandLine().getOut();
    if (json) {
      out.println(Json.pretty(ending.result()));
    } else if (ending.exitCode() == ExitCode.OK) {
      out.println(ending.result().status().summary());
    }
    out.flush();
    if (ending.exitCode() != ExitCode.OK) {
      throw new CommandFailure(ending.exitCode(), ending.text());
    }
  }
}
