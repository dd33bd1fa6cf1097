package ward.cli;

@picocli.CommandLine.Command(name = "ledger")
final class LedgerCommand implements Runnable {
  public void run() {}
}
