package ward.testing;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.Assumptions;

/**
 * A program that judges what Ward made. Tests are skipped where it is not installed, unless {@code
 * WARD_EXPECT} names it.
 *
 * @param name as in {@code PATH}
 * @param debianPackage that has it
 */
public record Tool(String name, String debianPackage) {

  private static final long PATIENCE_SECONDS = 20;

  /** Ends the test, or all tests of the class, where the program is missing. */
  public void require() {
    boolean installed =
        Arrays.stream(System.getenv("PATH").split(":"))
            .anyMatch(directory -> Files.isExecutable(Path.of(directory, name)));
    List<String> expected = List.of(System.getenv().getOrDefault("WARD_EXPECT", "").split(","));
    if (expected.contains(name)) {
      assertThat(installed).as("WARD_EXPECT names %s, so it must be there", name).isTrue();
    }
    Assumptions.assumeTrue(
        installed, "no %s here; Debian's package is %s".formatted(name, debianPackage));
  }

  /** Runs it, expects it to succeed, and answers what it printed. */
  public String run(Object... arguments) throws IOException, InterruptedException {
    List<String> command =
        Stream.concat(Stream.of(name), Arrays.stream(arguments).map(Object::toString)).toList();
    Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
    String printed = new String(process.getInputStream().readAllBytes());
    assertThat(process.waitFor(PATIENCE_SECONDS, TimeUnit.SECONDS)).as("%s ends", name).isTrue();
    assertThat(process.exitValue()).as(printed).isZero();
    return printed;
  }
}
