package ward.cli;

import java.nio.file.Path;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.ScopeType;
import picocli.CommandLine.Spec;
import ward.memory.PageSet;
import ward.memory.Pages;
import ward.poison.Origin;
import ward.poison.PoisonEntry;
import ward.poison.Severity;
import ward.wire.ControlMessage;

/** {@code ward control}. */
@Command(name = "control", description = "Speaks to a daemon on this host by its --control socket.")
final class ControlCommand implements Runnable {

  @Option(
      names = "--socket",
      required = true,
      scope = ScopeType.INHERIT,
      paramLabel = "SOCKET",
      description = "The daemon's --control socket.")
  Path socket;

  @Spec CommandSpec spec;

  @Override
  public void run() {
    throw new ParameterException(
        spec.commandLine(), "which command? status, report, stream, bandwidth or serror are there");
  }

  private ControlMessage send(ControlMessage command) {
    return ControlSocket.send(socket, command);
  }

  private void print(String line) {
    spec.commandLine().getOut().println(line);
  }

  @Command(name = "status", description = "Prints how far the migration is, as one JSON object.")
  int status() {
    if (send(new ControlMessage.StatusQuery()) instanceof ControlMessage.Status status) {
      print(status.json());
    }
    return ExitCode.OK.code();
  }

  @Command(
      name = "stream",
      description = "Holds the background stream of a source back, or lets it go on.")
  int stream(
      @Parameters(paramLabel = "pause|resume", description = "Demand faults are always answered.")
          StreamAction action) {
    send(new ControlMessage.StreamControl(action == StreamAction.PAUSE));
    return ExitCode.OK.code();
  }

  @Command(
      name = "bandwidth",
      description =
          "Limits what the background stream of a source sends from now on. Demand faults and poison are"
              + " never held up.")
  int bandwidth(
      @Parameters(
              paramLabel = "RATE",
              description = "Bytes a second, 4K to 1T (K, M, G and T are 2^10 to 2^40), or none.")
          ByteRate rate) {
    send(new ControlMessage.StreamLimit(rate.bytesPerSecond()));
    return ExitCode.OK.code();
  }

  @Command(
      name = "serror",
      description =
          "Tells a processor of an arm64 guest that runs in this daemon, by an SError, that its"
              + " hardware has failed and not where. A Linux guest panics of most of them, and"
              + " so leaves its crash dump.")
  int serror(
      @Option(
              names = "--vcpu",
              paramLabel = "N",
              defaultValue = "0",
              description = "Which processor (default: ${DEFAULT-VALUE}).")
          int vcpu,
      @Option(
              names = "--syndrome",
              paramLabel = "N",
              defaultValue = "0",
              description =
                  "ESR_EL1, bits 24:0, decimal or 0x...; processors without RAS do not show it"
                      + " (default: ${DEFAULT-VALUE}).")
          String syndrome) {
    if (send(raiseSError(vcpu, syndrome)) instanceof ControlMessage.Done done) {
      print(done.text());
    }
    return ExitCode.OK.code();
  }

  private static ControlMessage raiseSError(int vcpu, String syndrome) {
    try {
      return new ControlMessage.RaiseSError(vcpu, Math.toIntExact(NumberText.parse(syndrome)));
    } catch (NumberFormatException | ArithmeticException e) {
      throw new CommandFailure(
          ExitCode.USAGE, "syndrome \"%s\"; 0 to 0x1ffffff is allowed".formatted(syndrome));
    } catch (IllegalArgumentException e) {
      throw new CommandFailure(ExitCode.USAGE, e.getMessage());
    }
  }

  enum StreamAction {
    PAUSE,
    RESUME
  }

  @Command(
      name = "report",
      description =
          "Tells a serving source that this host has lost pages. Each is poison for the guest from"
              + " now on, unless the destination had copied it before: then it is `held`.")
  int report(
      @Parameters(
              paramLabel = "GPA",
              arity = "1..*",
              description = "Guest-physical addresses, multiples of 4096.")
          List<GuestPhysicalAddress> addresses,
      @Option(
              names = "--host",
              paramLabel = "NAME",
              description = "This host's name in the ledger (default: what the system says).")
          String host) {
    Origin origin = new Origin(HostName.orSystems(host), Instant.now(), Origin.Discovery.REPORTED);
    if (send(new ControlMessage.ReportPoison(entries(addresses, origin)))
        instanceof ControlMessage.ReportPoisonResult result) {
      printFrames("poisoned", result.poisoned());
      printFrames("held", result.held());
      printFrames("known", result.alreadyKnown());
    }
    return ExitCode.OK.code();
  }

  private List<PoisonEntry> entries(List<GuestPhysicalAddress> addresses, Origin origin) {
    List<PoisonEntry> entries = new ArrayList<>();
    for (GuestPhysicalAddress address : addresses) {
      try {
        entries.add(
            new PoisonEntry(
                address.value(), PoisonEntry.MIN_PAGE_SHIFT, Severity.ACTION_REQUIRED, origin));
      } catch (IllegalArgumentException e) {
        throw new CommandFailure(ExitCode.USAGE, e.getMessage());
      }
    }
    return entries;
  }

  private void printFrames(String word, PageSet frames) {
    frames.forEach(frame -> print("%s 0x%x".formatted(word, frame << Pages.SHIFT)));
  }
}
