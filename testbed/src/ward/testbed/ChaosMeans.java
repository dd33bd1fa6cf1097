package ward.testbed;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/**
 * How the daemons of all runs are started. The first ones archive the classes that they load
 * (-XX:ArchiveClassesAtExit, JEP 350), and all others start from these archives, in half the time.
 *
 * @param archives the directory that holds an archive for each side
 * @param making whether the daemons make them
 */
record ChaosMeans(Path archives, boolean making, SteppedClock clock) {

  /** Little memory: a daemon lives for a second. */
  private static final List<String> QUICK =
      List.of(
          "-XX:TieredStopAtLevel=1",
          "-XX:+UseSerialGC",
          "-Xshare:auto",
          "-Xmx256m",
          "-Xlog:disable");

  /** Options of a Java virtual machine that starts fast. */
  static List<String> quick() {
    return QUICK;
  }

  /** Where the archives have been made. */
  ChaosMeans using() {
    return new ChaosMeans(archives, false, clock);
  }

  /**
   * @param clockFile where the daemon's clock is set
   */
  Daemon.Surroundings around(ChaosSide side, Path clockFile) {
    List<String> options = new ArrayList<>(QUICK);
    Path archive = archives.resolve(side + ".jsa");
    if (making) {
      options.add("-XX:ArchiveClassesAtExit=" + archive);
    } else if (Files.exists(archive)) {
      options.add("-XX:SharedArchiveFile=" + archive);
    }
    return new Daemon.Surroundings(List.of(), options, clock.environment(clockFile));
  }
}
