package ward.testbed;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;

/**
 * The classes that daemons of one kind load, read and checked once, so that every such daemon of
 * the scenarios starts in less time (dynamic archives, JEP 350).
 *
 * <p>An archive belongs to one jar and one Java machine. Where it is missing or of another, classes
 * are loaded as ever.
 */
final class ClassArchive {

  private static final String MAKING = "ward.class-archives";
  private static final long TRAINING_BYTES = 16 << 20;
  private static final Duration TRAINING_TIME = Duration.ofMinutes(3);

  private ClassArchive() {}

  /**
   * Options of the Java machine for a daemon.
   *
   * @param kind its first argument
   */
  static List<String> options(String kind) {
    Path archive = of(kind);
    if (Boolean.getBoolean(MAKING)) {
      return List.of("-Xlog:disable", "-XX:ArchiveClassesAtExit=" + archive);
    }
    return Files.exists(archive)
        ? List.of("-Xlog:disable", "-Xshare:auto", "-XX:SharedArchiveFile=" + archive)
        : List.of();
  }

  private static Path of(String kind) {
    return WardJar.path()
        .resolveSibling("ward-%s-%s.jsa".formatted(kind, Runtime.version().feature()));
  }

  /** Makes the archives of both sides, from what they load in a small migration. */
  public static void main(String[] arguments) throws IOException {
    if (isUpToDate("source") && isUpToDate("destination")) {
      return;
    }
    System.setProperty(MAKING, "true");
    LoopbackSettings settings =
        new LoopbackSettings(TRAINING_BYTES, 1, 2, 2, 2, 1, "auto", TRAINING_TIME);
    try (LoopbackRun run = new LoopbackRun(settings, line -> {})) {
      run.run();
    }
  }

  private static boolean isUpToDate(String kind) throws IOException {
    Path archive = of(kind);
    return Files.exists(archive)
        && Files.getLastModifiedTime(archive).compareTo(Files.getLastModifiedTime(WardJar.path()))
            >= 0;
  }
}
