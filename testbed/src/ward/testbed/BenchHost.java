package ward.testbed;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import java.util.concurrent.TimeUnit;

/**
 * Where a figure comes from.
 *
 * @param cpu the processor's name for itself
 * @param jdk that runs the daemons: the one that runs this
 * @param commit of this working copy; null if there is no git
 * @param dirty whether it holds changes that are in no commit
 */
record BenchHost(String cpu, int cpus, String kernel, String jdk, String commit, boolean dirty) {

  private static final long GIT_SECONDS_MAX = 10;

  static BenchHost here() {
    return new BenchHost(
        cpuName(),
        Runtime.getRuntime().availableProcessors(),
        System.getProperty("os.version"),
        System.getProperty("java.vm.name") + " " + System.getProperty("java.vm.version"),
        git("rev-parse", "HEAD").orElse(null),
        git("status", "--porcelain").filter(changes -> !changes.isEmpty()).isPresent());
  }

  private static String cpuName() {
    try (var lines = Files.lines(Path.of("/proc/cpuinfo"))) {
      return lines
          .filter(line -> line.startsWith("model name"))
          .map(line -> line.substring(line.indexOf(':') + 1).strip())
          .findFirst()
          .orElse(System.getProperty("os.arch"));
    } catch (IOException e) {
      return System.getProperty("os.arch");
    }
  }

  private static Optional<String> git(String... words) {
    String[] command = new String[words.length + 1];
    command[0] = "git";
    System.arraycopy(words, 0, command, 1, words.length);
    try {
      Process git =
          new ProcessBuilder(command)
              .directory(Path.of(System.getProperty("ward.top", ".")).toFile())
              .redirectError(ProcessBuilder.Redirect.DISCARD)
              .start();
      String said = new String(git.getInputStream().readAllBytes(), StandardCharsets.UTF_8).strip();
      boolean ended = git.waitFor(GIT_SECONDS_MAX, TimeUnit.SECONDS);
      return ended && git.exitValue() == 0 ? Optional.of(said) : Optional.empty();
    } catch (IOException e) {
      return Optional.empty();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      return Optional.empty();
    }
  }
}
