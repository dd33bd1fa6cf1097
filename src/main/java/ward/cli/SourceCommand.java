package ward.cli;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.Callable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;
import ward.guest.Guest;
import ward.kernel.Kernel;
import ward.kernel.KernelCallException;
import ward.kernel.MappedAhead;
import ward.kernel.NativeKernel;
import ward.memory.GuestLayout;
import ward.memory.Pages;
import ward.memory.TableRoom;
import ward.poison.LedgerException;
import ward.poison.LedgerJournal;
import ward.poison.MigrationRecord;
import ward.source.DepartingGuest;
import ward.source.SourceMemory;
import ward.source.SourceOutcome;
import ward.source.SourceSession;
import ward.source.SourceSettings;
import ward.vcpu.KvmGuestFactory;
import ward.vcpu.UnsupportedKvmException;
import ward.wire.Transport;

/** {@code ward source}. */
@Command(
    name = "source",
    description = {
      "Serves a guest's memory, and what is lost of it, to one `ward destination`. Ends when the"
          + " destination has everything and has proved it.",
      "Started again on the same memory and ledger after its process died, it goes on where that"
          + " one was.",
      "The guest is one that is paused elsewhere; with --run it runs here until a destination"
          + " comes, and again if that one does not take it."
    })
final class SourceCommand implements Callable<Integer> {

  private static final Logger log = LoggerFactory.getLogger("ward.source");
  private static final long RETURN_SECONDS_MAX = 1_000_000_000;

  @Option(
      names = "--listen",
      required = true,
      paramLabel = "HOST:PORT",
      description = "Where the destination connects to; port 0 takes any free port.")
  HostPort listen;

  @Option(
      names = "--memory",
      required = true,
      paramLabel = "FILE",
      description = "The guest's memory: a file, or a memfd by /proc/PID/fd/N.")
  Path memory;

  @Option(
      names = "--layout",
      required = true,
      paramLabel = "FILE",
      description =
          "Which guest-physical addresses are RAM, and where they are in the memory (JSON).")
  Path layout;

  @Option(
      names = "--ledger",
      required = true,
      paramLabel = "DIR",
      description = "What is known to be lost; made if it is not there.")
  Path ledger;

  @Option(
      names = "--vcpu-state",
      paramLabel = "FILE",
      description = "What the guest's vCPUs hold; without it only memory moves.")
  Path vcpuState;

  @Option(
      names = "--run",
      description =
          "Run the guest here, from --vcpu-state, until a destination comes: it is paused then, and"
              + " what its vCPUs hold goes along. If the destination does not take it, it runs on"
              + " here and the next one may come. The guest writes to the memory file; if it has lost"
              + " pages, that must be on tmpfs or a memfd.")
  boolean run;

  @Option(
      names = "--guest-log",
      paramLabel = "FILE",
      description =
          "With --run: where to write what the guest reports, a line for each 32-bit word it writes"
              + " to I/O port 0x500 (vCPU, word).")
  Path guestLog;

  @Option(
      names = "--console",
      paramLabel = "FILE",
      description =
          "With --run: where to append what the guest writes to its first serial port, if it has one.")
  Path consoleOutput;

  @Option(
      names = "--console-input",
      paramLabel = "FILE",
      description =
          "With --run: what is appended to this file, or written to this FIFO, is typed at the guest's first"
              + " serial port.")
  Path consoleInput;

  @Option(
      names = "--control",
      paramLabel = "SOCKET",
      description = "UNIX socket for `ward control`; only its owner may use it.")
  Path control;

  @Option(
      names = "--pause-stream",
      description =
          "Answer demand faults only, until `ward control --socket SOCKET stream resume`.")
  boolean pauseStream;

  @Option(
      names = "--bandwidth",
      paramLabel = "RATE",
      defaultValue = "none",
      description =
          "Bytes a second that the background stream may send, from 4K to 1T (K, M, G and T are 2^10 to"
              + " 2^40), or none. Demand faults and poison are never held up. `ward control --socket SOCKET"
              + " bandwidth RATE` changes it (default: ${DEFAULT-VALUE}).")
  ByteRate bandwidth;

  @Option(
      names = "--new-session",
      description = {
        "Forget the migration that the ledger tells of, and wait for a new destination.",
        "DANGER: if the guest runs there, this starts a second one from stale memory. Only for an"
            + " operator who knows that it does not, or that this memory is the newer."
      })
  boolean newSession;

  @Option(
      names = "--return-within",
      paramLabel = "SECONDS",
      description =
          "How long to wait for a destination whose connections broke after it may have run the"
              + " guest; 0 means not at all (default: without end).")
  Long returnSeconds;

  @Option(
      names = "--host",
      paramLabel = "NAME",
      description = "This host's name in the ledger (default: what the system says).")
  String host;

  @Option(
      names = "--inject-unreadable",
      paramLabel = "GPA",
      split = ",",
      description =
          "For tests: makes these pages really unreadable in this process, by poison markers in its"
              + " own mapping, and tells nobody. The memory must be writable and on tmpfs or a memfd.")
  List<GuestPhysicalAddress> injectUnreadable = List.of();

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
    SourceSettings settings =
        new SourceSettings(
            HostName.orSystems(host),
            pauseStream,
            bandwidth.bytesPerSecond(),
            returnWithin(),
            handshake.limit(),
            ledgerPatience.limit());
    prometheus.requireLoopback();
    rehearsal.requireAllowed();
    Kernel kernel = NativeKernel.load();
    GuestLayout guest = LayoutFile.read(layout);
    requireRoom(guest);
    byte[] states = readVcpuStates();
    GuestBooks books = new GuestBooks(ledger, HostName.orSystems(host), ledgerPatience.limit());
    try (SourceMemory mapped = map(kernel, guest);
        LedgerJournal journal = openLedger(books, guest);
        Transport transport = Transports.open("ward-source");
        GuestLog reports = GuestLog.open(guestLog);
        GuestConsole console = GuestConsole.open(consoleOutput, consoleInput)) {
      journal.warnings().forEach(warning -> log.warn("{}", warning));
      Optional<MigrationRecord> earlier = EarlierMigration.of(journal, newSession).toGoOnWith(run);
      if (earlier.isEmpty()) { // a guest that waits for a new daemon waits for nothing else
        rehearsal.play(kernel);
      }
      markLosses(kernel, mapped, journal);
      if (!run) {
        try (MappedAhead ahead = mapped.mapAhead()) {
          return serve(
              settings,
              kernel,
              subject(mapped, DepartingGuest.asleep(states), journal),
              Optional.empty(),
              earlier,
              books,
              transport);
        }
      }
      try (Guest running = start(kernel, mapped, states, books, reports, console)) {
        return serve(
            settings,
            kernel,
            subject(mapped, DepartingGuest.running(running), journal),
            Optional.of(running),
            earlier,
            books,
            transport);
      }
    } catch (LedgerException e) {
      throw new CommandFailure(ExitCode.HOST_REFUSED, e.getMessage());
    }
  }

  private static void requireRoom(GuestLayout guest) {
    TableRoom.inThisProcess(1)
        .objection(guest.pageCount())
        .ifPresent(
            objection -> {
              throw new CommandFailure(ExitCode.HOST_REFUSED, objection);
            });
  }

  /** For the guest that runs here, what it has lost is lost from its first instruction on. */
  private void markLosses(Kernel kernel, SourceMemory mapped, LedgerJournal journal) {
    Set<Long> unknown = new TreeSet<>();
    injectUnreadable.forEach(address -> unknown.add(Pages.align(address.value())));
    UnreadablePages.inject(kernel, mapped.memory(), unknown, "--inject-unreadable");
    if (run) {
      Set<Long> known = new TreeSet<>();
      journal.ledger().frames().forEach(frame -> known.add(frame << Pages.SHIFT));
      known.removeAll(unknown);
      UnreadablePages.mark(kernel, mapped.memory(), known);
    }
  }

  private static SourceSession.Subject subject(
      SourceMemory memory, DepartingGuest guest, LedgerJournal journal) {
    return new SourceSession.Subject(memory, guest, journal);
  }

  private Guest start(
      Kernel kernel,
      SourceMemory mapped,
      byte[] states,
      GuestBooks books,
      GuestLog reports,
      GuestConsole console) {
    try {
      Guest guest =
          new KvmGuestFactory(kernel, books, reports, console.console())
              .createOver(mapped.memory(), states);
      guest.resume();
      log.info("the guest runs here until a destination comes");
      return guest;
    } catch (KernelCallException | UnsupportedKvmException e) {
      throw new CommandFailure(ExitCode.HOST_REFUSED, "--run: " + e.getMessage());
    } catch (IOException e) {
      throw new CommandFailure(ExitCode.INPUT_REFUSED, "--vcpu-state: " + e.getMessage());
    }
  }

  private byte[] readVcpuStates() {
    if (run && vcpuState == null) {
      throw new CommandFailure(ExitCode.USAGE, "--run needs --vcpu-state: where the guest begins");
    }
    if (!run && guestLog != null) {
      throw new CommandFailure(
          ExitCode.USAGE, "--guest-log needs --run: without it no guest reports anything here");
    }
    if (!run && (consoleOutput != null || consoleInput != null)) {
      throw new CommandFailure(
          ExitCode.USAGE,
          "--console and --console-input need --run: no guest runs here without it");
    }
    try {
      return vcpuState == null ? new byte[0] : Files.readAllBytes(vcpuState);
    } catch (IOException e) {
      throw new CommandFailure(
          ExitCode.INPUT_REFUSED, "--vcpu-state %s cannot be read: %s".formatted(vcpuState, e));
    }
  }

  private SourceMemory map(Kernel kernel, GuestLayout guest) {
    try {
      return SourceMemory.map(kernel, memory, guest, access());
    } catch (java.nio.file.NoSuchFileException e) {
      throw new CommandFailure(
          ExitCode.INPUT_REFUSED, "--memory %s: no such file".formatted(memory));
    } catch (IOException e) {
      throw new CommandFailure(ExitCode.INPUT_REFUSED, "--memory: " + e.getMessage());
    }
  }

  private SourceMemory.Access access() {
    if (run) {
      return SourceMemory.Access.RUN;
    }
    return injectUnreadable.isEmpty() ? SourceMemory.Access.READ : SourceMemory.Access.MARK;
  }

  private LedgerJournal openLedger(GuestBooks books, GuestLayout guest) {
    try {
      return books.open(guest.guest());
    } catch (LedgerException e) {
      throw new CommandFailure(Ledgers.exitCodeFor(e), e.getMessage());
    }
  }

  /**
   * @param running empty where the guest does not run here
   * @param earlier what a dead process has left, and this one goes on with
   */
  private int serve(
      SourceSettings settings,
      Kernel kernel,
      SourceSession.Subject subject,
      Optional<Guest> running,
      Optional<MigrationRecord> earlier,
      GuestBooks books,
      Transport transport) {
    SourceRun.Parts parts = new SourceRun.Parts(settings, kernel, subject, running, earlier, books);
    try (SourceRun run = SourceRun.listen(parts, transport, listen.resolve());
        ControlServer commands = ControlServer.listen(transport, control, run.commands());
        MetricsOption.AutoCloseableEndpoint endpoint =
            prometheus.listen(() -> run.numbers().registry())) {
      log.info("listening on {} with {}", run.address(), subject.journal().ledger());
      Termination.onSignal(run::stop);
      return finish(run.toTheEnd(), run.status());
    } catch (ward.wire.TransportException e) {
      throw new CommandFailure(ExitCode.HOST_REFUSED, e.getMessage());
    } catch (LedgerException e) {
      throw new CommandFailure(Ledgers.exitCodeFor(e), e.getMessage());
    } catch (IOException e) {
      throw new CommandFailure(ExitCode.INPUT_REFUSED, e.getMessage());
    }
  }

  private Optional<Duration> returnWithin() {
    if (returnSeconds != null && (returnSeconds < 0 || returnSeconds > RETURN_SECONDS_MAX)) {
      throw new CommandFailure(
          ExitCode.USAGE,
          "--return-within %d; 0 to %d s are allowed".formatted(returnSeconds, RETURN_SECONDS_MAX));
    }
    return Optional.ofNullable(returnSeconds).map(Duration::ofSeconds);
  }

  private int finish(SourceRun.Ending ending, SourceStatus status) {
    ExitCode code = ending.exitCode();
    if (json) {
      spec.commandLine()
          .getOut()
          .println(Json.pretty(new SourceResult(code.code(), ending.outcome(), status)));
    } else if (code == ExitCode.OK) {
      spec.commandLine().getOut().println(ending.outcome().text());
    }
    if (code != ExitCode.OK) {
      throw new CommandFailure(code, ending.outcome().text());
    }
    return code.code();
  }

  private record SourceResult(int exitCode, SourceOutcome outcome, SourceStatus status) {}
}
