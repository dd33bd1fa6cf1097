package ward.cli;

import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** {@code ward ledger}. */
@Command(
    name = "ledger",
    description = "Reads and adds to the record of which of a guest's pages are lost.",
    subcommands = {LedgerAddCommand.class, LedgerShowCommand.class})
final class LedgerCommand implements Runnable {

  @Spec CommandSpec spec;

  @Override
  public void run() {
    throw new ParameterException(spec.commandLine(), "which command? add or show are there");
  }
}
