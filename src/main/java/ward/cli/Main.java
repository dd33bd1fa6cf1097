package ward.cli;

import java.io.PrintWriter;
import java.util.LinkedHashMap;
import java.util.Map;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.IVersionProvider;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.ScopeType;
import picocli.CommandLine.Spec;

/** The command {@code ward}. */
@Command(
    name = "ward",
    description =
        "Keeps a virtual machine's memory poison alive across live migration: memory that the"
            + " hardware lost on the source host is still lost, and still reported to the guest, on"
            + " the destination.",
    mixinStandardHelpOptions = true,
    scope = ScopeType.INHERIT,
    versionProvider = Main.Version.class,
    sortOptions = false,
    subcommands = {
      SourceCommand.class,
      DestinationCommand.class,
      LedgerCommand.class,
      StatusCommand.class,
      CancelCommand.class,
      RecoverCommand.class,
      ControlCommand.class,
      CheckCommand.class
    })
public final class Main implements Runnable {

  @Spec private CommandSpec spec;

  @Override
  public void run() {
    throw new ParameterException(spec.commandLine(), "which command? See `ward --help`.");
  }

  /** The only place that ends the process. */
  public static void main(String[] arguments) {
    int code = commandLine().execute(arguments);
    Termination.exit(code);
  }

  /** Every command, ready to be executed; for tests too. */
  public static CommandLine commandLine() {
    CommandLine command = new CommandLine(new Main());
    command.registerConverter(HostPort.class, HostPort::parse);
    command.registerConverter(ByteRate.class, ByteRate::parse);
    command.registerConverter(StagingSize.class, StagingSize::parse);
    command.registerConverter(GuestPhysicalAddress.class, GuestPhysicalAddress::parse);
    command.setCaseInsensitiveEnumValuesAllowed(true);
    command.setExecutionExceptionHandler((thrown, line, parsed) -> failed(thrown, line));
    command.setParameterExceptionHandler(Main::misused);
    describeExitCodes(command);
    return command;
  }

  private static void describeExitCodes(CommandLine command) {
    Map<String, String> codes = new LinkedHashMap<>();
    for (ExitCode code : ExitCode.values()) {
      codes.put(Integer.toString(code.code()), code.meaning());
    }
    command.getCommandSpec().usageMessage().exitCodeListHeading("%nExit codes:%n");
    command.getCommandSpec().usageMessage().exitCodeList(codes);
    command.getSubcommands().values().forEach(Main::describeExitCodes);
  }

  private static int failed(Exception thrown, CommandLine line) {
    String name = line.getCommandSpec().qualifiedName();
    if (thrown instanceof CommandFailure failure) {
      line.getErr().println(name + ": " + failure.getMessage());
      return failure.exitCode().code();
    }
    line.getErr().println(name + ": a fault in Ward itself: " + thrown);
    thrown.printStackTrace(line.getErr());
    return ExitCode.INTERNAL_ERROR.code();
  }

  private static int misused(ParameterException misuse, String[] arguments) {
    CommandLine line = misuse.getCommandLine();
    PrintWriter err = line.getErr();
    String name = line.getCommandSpec().qualifiedName();
    err.println(
        "%s: %s (`%s --help` lists the options)".formatted(name, misuse.getMessage(), name));
    return ExitCode.USAGE.code();
  }

  static String version() {
    String version = Main.class.getPackage().getImplementationVersion();
    return version == null ? "(not from a jar)" : version;
  }

  /** The version that the build wrote into the jar's manifest. */
  static final class Version implements IVersionProvider {
    @Override
    public String[] getVersion() {
      return new String[] {"ward " + version()};
    }
  }
}
