package ward.testbed;

import java.nio.file.Path;

/** The jar under test: {@code -Dward.jar=FILE}, or where the build puts it. */
final class WardJar {

  private WardJar() {}

  static Path path() {
    return Path.of(System.getProperty("ward.jar", "target/ward.jar")).toAbsolutePath();
  }

  /** The command that starts it, as a user does. */
  static Path launcher() {
    return path().resolveSibling("ward");
  }
}
