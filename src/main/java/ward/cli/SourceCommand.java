package ward.cli;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.Callable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;
import ward.kernel.Kernel;
import ward.kernel.NativeKernel;
import ward.memory.GuestLayout;
import ward.metrics.SourceMetrics;
import ward.poison.LedgerException;
import ward.poison.LedgerJournal;
import ward.source.SourceMemory;
import ward.source.SourceOutcome;
import ward.source.SourceServer;
import ward.source.SourceSession;
import ward.source.SourceSettings;
import ward.wire.Transport;

/** {@code ward source}. */
@Command(
    name = "source",
    description =
        "Serves a paused guest's memory, and what is lost of it, to one `ward destination`. Ends"
            + " when the destination has everything and has proved it.")
final class SourceCommand implements Callable<Integer> {

  private static final Logger log = LoggerFactory.getLogger("ward.source");

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
      description = "The paused guest's memory: a file, or a memfd by /proc/PID/fd/N.")
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

  @Option(names = "--json", description = "Print the result as a JSON object.")
  boolean json;

  @Spec CommandSpec spec;

  @Override
  public Integer call() {
    Kernel kernel = NativeKernel.load();
    GuestLayout guest = LayoutFile.read(layout);
    byte[] states = readVcpuStates();
    try (SourceMemory mapped = map(kernel, guest);
        LedgerJournal journal = openLedger(guest);
        Transport transport = Transports.open("ward-source")) {
      journal.warnings().forEach(warning -> log.warn("{}", warning));
      UnreadablePages.inject(kernel, mapped.memory(), injectUnreadable);
      return serve(kernel, new SourceSession.Subject(mapped, states, journal), transport);
    } catch (LedgerException e) {
      throw new CommandFailure(ExitCode.HOST_REFUSED, e.getMessage());
    }
  }

  private byte[] readVcpuStates() {
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
    return injectUnreadable.isEmpty() ? SourceMemory.Access.READ : SourceMemory.Access.MARK;
  }

  private LedgerJournal openLedger(GuestLayout guest) {
    try {
      return LedgerJournal.open(ledger, guest.guest());
    } catch (LedgerException e) {
      throw new CommandFailure(Ledgers.exitCodeFor(e), e.getMessage());
    }
  }

  private int serve(Kernel kernel, SourceSession.Subject subject, Transport transport) {
    SourceMetrics metrics = new SourceMetrics();
    String name = HostName.orSystems(host);
    try (SourceSession session =
            new SourceSession(
                new SourceSettings(name, pauseStream),
                kernel,
                subject,
                new SourceEvents(metrics, log));
        SourceServer server = SourceServer.listen(transport, listen.resolve(), name, session);
        ControlServer commands = controlServer(transport, session, server, metrics)) {
      log.info("listening on {} with {}", server.address(), subject.journal().ledger());
      Termination.onSignal(() -> session.abandon("stopped by a signal"));
      SourceOutcome outcome = session.outcome().toCompletableFuture().join();
      return finish(outcome, session, server, metrics);
    } catch (ward.wire.TransportException e) {
      throw new CommandFailure(ExitCode.HOST_REFUSED, e.getMessage());
    } catch (IOException e) {
      throw new CommandFailure(ExitCode.INPUT_REFUSED, e.getMessage());
    }
  }

  private ControlServer controlServer(
      Transport transport, SourceSession session, SourceServer server, SourceMetrics metrics)
      throws ward.wire.TransportException {
    return ControlServer.listen(
        transport,
        control,
        new SourceControl(session, () -> SourceStatus.of(session, server, metrics)));
  }

  private int finish(
      SourceOutcome outcome, SourceSession session, SourceServer server, SourceMetrics metrics) {
    ExitCode code = Outcomes.exitCode(outcome);
    SourceStatus status = SourceStatus.of(session, server, metrics);
    if (json) {
      spec.commandLine()
          .getOut()
          .println(Json.pretty(new SourceResult(code.code(), outcome, status)));
    } else if (code == ExitCode.OK) {
      spec.commandLine().getOut().println(outcome.text());
    }
    if (code != ExitCode.OK) {
      throw new CommandFailure(code, outcome.text());
    }
    return code.code();
  }

  private record SourceResult(int exitCode, SourceOutcome outcome, SourceStatus status) {}
}
