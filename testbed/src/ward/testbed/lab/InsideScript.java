package ward.testbed.lab;

import java.util.List;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/** Writes the shell script that {@code /init} runs in the lab. */
final class InsideScript {

  /**
   * Emulated processors spend more on the second compiler than it gives back, and on the first one
   * too unless a method is hot: what it writes has to be translated again by the emulator.
   */
  private static final List<String> JVM =
      List.of(
          "-XX:TieredStopAtLevel=1",
          "-XX:CompileThresholdScaling=50",
          "-XX:+UseSerialGC",
          "-Xshare:auto",
          // The C library of the machine knows no locale but ASCII's.
          "-Dfile.encoding=UTF-8",
          "-Dsun.stdout.encoding=UTF-8",
          "-Dsun.stderr.encoding=UTF-8",
          "-Dward.jar=/ward/ward.jar");

  private InsideScript() {}

  static String of(Architecture architecture, List<LabSettings.Step> steps) {
    String header =
        """
        # Everything is run; the first failure is the result.
        export JAVA_HOME=%s WARD_EXPECT=kernel,kvm WARD_LAB=%s WARD_GUEST_KERNEL=/ward/vmlinuz
        status=0
        """
            .formatted(architecture.javaHome(), architecture.machineName());
    return steps.stream()
        .map(InsideScript::command)
        .map(command -> command + " || { code=$?; [ $status -ne 0 ] || status=$code; }\n")
        .collect(Collectors.joining("", header, "exit $status\n"));
  }

  private static String command(LabSettings.Step step) {
    return Stream.of(
            Stream.of("$JAVA_HOME/bin/java"),
            JVM.stream(),
            Stream.of("-cp", quoted(Payload.CLASS_PATH), quoted(step.main())),
            step.arguments().stream().map(InsideScript::quoted))
        .flatMap(words -> words)
        .collect(Collectors.joining(" "));
  }

  static String quoted(String word) {
    return "'" + word.replace("'", "'\\''") + "'";
  }
}
