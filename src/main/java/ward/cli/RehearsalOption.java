package ward.cli;

import java.io.IOException;
import java.nio.file.Path;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import picocli.CommandLine.Option;
import ward.kernel.Kernel;
import ward.kernel.Niceness;

/** {@code --rehearsal}, of both daemons. */
final class RehearsalOption {

  private static final Logger log = LoggerFactory.getLogger(RehearsalOption.class);
  private static final int PAGES_MAX = 1 << 20;

  @Option(
      names = "--rehearsal",
      paramLabel = "PAGES",
      defaultValue = "${env:WARD_REHEARSAL:-8192}",
      description =
          "Before anything else, migrate a scratch guest of that many pages within this process, so that"
              + " the first pages of the real one come as fast as the others; for a moment it"
              + " needs twice their memory. 0 to 1048576, 0: no rehearsal (default: $WARD_REHEARSAL,"
              + " or 8192).")
  int pages;

  /** Before anything is made. */
  void requireAllowed() {
    if (pages < 0 || pages > PAGES_MAX) {
      throw new CommandFailure(
          ExitCode.USAGE, "--rehearsal %d; 0 to %d pages are allowed".formatted(pages, PAGES_MAX));
    }
  }

  /** Of what cannot be done the log tells; nothing else comes of it. */
  void play(Kernel kernel) {
    Rehearsal.of(pages, kernel, Path.of(System.getProperty("java.io.tmpdir")));
    giveWay();
  }

  /** What is compiled from now on is compiled while a guest may wait for a page. */
  private static void giveWay() {
    try {
      Niceness.BACKGROUND.give(name -> name.startsWith("C1 Comp") || name.startsWith("C2 Comp"));
    } catch (IOException e) {
      log.debug("compilers do not give way: {}", e.toString());
    }
  }
}
