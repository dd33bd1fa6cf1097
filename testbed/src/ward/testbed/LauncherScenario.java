package ward.testbed;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import ward.cli.ExitCode;

/** The command that users start. */
@Timeout(120)
class LauncherScenario {

  @TempDir Path directory;

  @Test
  void aDaemonRunsWithOneCompilerAndNoCollectorBesideTheGuest() throws Exception {
    ProcessBuilder command = ward("--version", "-XX:+PrintFlagsFinal");

    String flags = output(command, ExitCode.OK);

    assertThat(flags).containsPattern("TieredStopAtLevel +:?= 1 ");
    assertThat(flags).containsPattern("UseSerialGC +:?= true ");
    assertThat(flags).contains("ward ");
  }

  @Test
  void anOptionOfTheUsersTakesTheLaunchersPlace() throws Exception {
    ProcessBuilder command = ward("--version", "-XX:+PrintFlagsFinal -Xmx96m");

    String flags = output(command, ExitCode.OK);

    assertThat(flags).containsPattern("MaxHeapSize +:?= " + (96 << 20) + " ");
  }

  @Test
  void itFindsItsJarThroughALink() throws Exception {
    Path link = Files.createSymbolicLink(directory.resolve("ward"), WardJar.launcher());
    ProcessBuilder command = new ProcessBuilder(link.toString(), "--version");
    command.environment().put("JAVA_HOME", System.getProperty("java.home"));

    String version = output(command, ExitCode.OK);
    Files.delete(link);

    assertThat(version).startsWith("ward ");
  }

  @Test
  void withoutAJavaItSaysWhatToInstall() throws Exception {
    ProcessBuilder command = ward("--version", "");
    command.environment().put("JAVA_HOME", directory.toString());

    String message = output(command, ExitCode.HOST_REFUSED);

    assertThat(message)
        .isEqualTo(
            "ward: no %s/bin/java here; install JDK 17 or later, or set JAVA_HOME to where one is\n"
                .formatted(directory));
  }

  private static ProcessBuilder ward(String argument, String javaOptions) {
    ProcessBuilder command = new ProcessBuilder(WardJar.launcher().toString(), argument);
    command
        .environment()
        .putAll(
            Map.of("JAVA_HOME", System.getProperty("java.home"), "WARD_JAVA_OPTIONS", javaOptions));
    return command;
  }

  private String output(ProcessBuilder command, ExitCode code)
      throws IOException, InterruptedException {
    Path output = directory.resolve("output");
    Process process = command.redirectErrorStream(true).redirectOutput(output.toFile()).start();
    assertThat(process.waitFor(60, TimeUnit.SECONDS)).isTrue();
    String text = Files.readString(output);
    assertThat(process.exitValue()).as(text).isEqualTo(code.code());
    return text;
  }
}
