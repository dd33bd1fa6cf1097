package ward.cli;

@picocli.CommandLine.Command(name = "check")
final class CheckCommand implements Runnable {
  public void run() {}
}
