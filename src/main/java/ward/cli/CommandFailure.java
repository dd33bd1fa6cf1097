package ward.cli;

/** Ends a command with one line on standard error and an exit code. */
public final class CommandFailure extends RuntimeException {

  private final ExitCode exitCode;

  /**
   * @param message what, where, the value, what is allowed, what to do
   */
  public CommandFailure(ExitCode exitCode, String message) {
    super(message);
    this.exitCode = exitCode;
  }

  public ExitCode exitCode() {
    return exitCode;
  }
}
