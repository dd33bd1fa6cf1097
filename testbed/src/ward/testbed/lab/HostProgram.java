package ward.testbed.lab;

import java.io.File;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.TimeUnit;

/** One run of a program of this machine, its words in English. */
final class HostProgram {

  private static final int LAST_WORDS = 2000;
  private static final long LIMIT_MINUTES = 10;

  private HostProgram() {}

  /**
   * Runs it to its end.
   *
   * @return what it wrote to standard output
   * @throws LabUnavailableException if there is no such program, or it fails, with its last words
   */
  static String run(Path directory, List<String> command) throws LabUnavailableException {
    return new String(bytes(directory, command), StandardCharsets.UTF_8);
  }

  static byte[] bytes(Path directory, List<String> command) throws LabUnavailableException {
    try {
      File errors = File.createTempFile("ward-lab-", ".err");
      try {
        return output(directory, command, errors);
      } finally {
        errors.delete();
      }
    } catch (IOException e) {
      throw e instanceof LabUnavailableException
          ? (LabUnavailableException) e
          : new LabUnavailableException("cannot run %s: %s".formatted(command.get(0), e), e);
    }
  }

  private static byte[] output(Path directory, List<String> command, File errors)
      throws IOException {
    ProcessBuilder builder =
        new ProcessBuilder(command)
            .directory(directory.toFile())
            .redirectInput(new File("/dev/null"))
            .redirectError(errors);
    builder.environment().put("LC_ALL", "C.UTF-8");
    Process process = builder.start();
    byte[] output = process.getInputStream().readAllBytes();
    int code = exitCode(process, command);
    if (code != 0) {
      throw new LabUnavailableException(
          "`%s` failed with exit code %d: %s"
              .formatted(String.join(" ", command), code, lastWords(errors, output)));
    }
    return output;
  }

  private static int exitCode(Process process, List<String> command) throws IOException {
    try {
      if (process.waitFor(LIMIT_MINUTES, TimeUnit.MINUTES)) {
        return process.exitValue();
      }
      process.destroyForcibly();
      throw new LabUnavailableException(
          "`%s` did not end in %d minutes".formatted(String.join(" ", command), LIMIT_MINUTES));
    } catch (InterruptedException e) {
      process.destroyForcibly();
      Thread.currentThread().interrupt();
      throw new IOException("interrupted", e);
    }
  }

  private static String lastWords(File errors, byte[] output) throws IOException {
    String words = java.nio.file.Files.readString(errors.toPath()).strip();
    if (words.isEmpty()) {
      words = new String(output, StandardCharsets.UTF_8).strip();
    }
    return words.substring(Math.max(0, words.length() - LAST_WORDS));
  }
}
