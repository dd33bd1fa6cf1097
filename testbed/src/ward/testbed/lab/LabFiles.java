package ward.testbed.lab;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

/** Where the build put things, below {@code -Dward.top=DIRECTORY}. */
final class LabFiles {

  /** Test engines that no test inside needs; looking for their tests takes seconds there. */
  private static final List<String> NOT_INSIDE = List.of("/jqwik", "/archunit");

  private LabFiles() {}

  private static Path top() {
    return Path.of(System.getProperty("ward.top", "")).toAbsolutePath();
  }

  static Path jar() {
    return top().resolve("target/ward.jar");
  }

  static Path launcher() {
    return top().resolve("target/ward");
  }

  static Path testClasses() {
    return top().resolve("target/test-classes");
  }

  /** Where runs leave their consoles. */
  static Path runs() {
    return top().resolve("target/lab");
  }

  /** What is compiled for another machine than this one. */
  static Path crossBuild(Architecture architecture) {
    return top().resolve("target/lab-" + architecture.machineName());
  }

  static Path nativeStubs() {
    return top().resolve("native-stubs");
  }

  static Path guestSources() {
    return top().resolve("testbed/guest");
  }

  /** A script that runs inside. */
  static Path script(String name) {
    return top().resolve("testbed/lab.d").resolve(name);
  }

  /** The jars that only tests need: what is on the test class path, but not on the other one. */
  static List<Path> testLibraries() throws IOException {
    List<String> shipped = classPath("runtime");
    return classPath("test").stream()
        .filter(entry -> entry.endsWith(".jar") && !shipped.contains(entry))
        .filter(entry -> NOT_INSIDE.stream().noneMatch(entry::contains))
        .map(Path::of)
        .toList();
  }

  private static List<String> classPath(String scope) throws IOException {
    return List.of(Files.readString(top().resolve("target/classpath-" + scope)).strip().split(":"));
  }
}
