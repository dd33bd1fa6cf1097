package ward.cli;

import java.io.PrintWriter;
import java.io.StringWriter;
import java.util.List;
import picocli.CommandLine;

/**
 * A command that ran, and what came of it.
 *
 * @param out standard output
 * @param err standard error, with the message of a {@link CommandFailure} or a misuse
 */
record CommandRun(int exitCode, String out, String err) {

  static CommandRun of(Object command, String... arguments) {
    StringWriter out = new StringWriter();
    StringWriter err = new StringWriter();
    CommandLine line = new CommandLine(command);
    line.registerConverter(GuestPhysicalAddress.class, GuestPhysicalAddress::parse);
    line.setOut(new PrintWriter(out, true));
    line.setErr(new PrintWriter(err, true));
    line.setExecutionExceptionHandler((thrown, which, parsed) -> failed(thrown, err));
    line.setParameterExceptionHandler((misuse, given) -> misused(misuse, err));
    int code = line.execute(arguments);
    return new CommandRun(code, out.toString(), err.toString());
  }

  private static int failed(Exception thrown, StringWriter err) throws Exception {
    if (thrown instanceof CommandFailure failure) {
      err.write(failure.getMessage());
      return failure.exitCode().code();
    }
    throw thrown;
  }

  private static int misused(CommandLine.ParameterException misuse, StringWriter err) {
    err.write(misuse.getMessage());
    return ExitCode.USAGE.code();
  }

  List<String> lines() {
    return out.lines().toList();
  }
}
