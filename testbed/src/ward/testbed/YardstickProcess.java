package ward.testbed;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.BufferedReader;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/** A process of the yardstick. Closing it ends it. */
final class YardstickProcess implements AutoCloseable {

  private static final ObjectMapper JSON = new ObjectMapper();

  private final Process process;
  private final BufferedReader output;
  private final String words;

  private YardstickProcess(Process process, String words) {
    this.process = process;
    this.words = words;
    this.output = process.inputReader();
  }

  static YardstickProcess start(List<String> prefix, List<String> words) throws IOException {
    List<String> command = new ArrayList<>(prefix);
    command.add(program().toString());
    command.addAll(words);
    ProcessBuilder builder =
        new ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.INHERIT);
    return new YardstickProcess(builder.start(), String.join(" ", words));
  }

  private static Path program() {
    return WardJar.path().resolveSibling("test-classes/bench/yardstick");
  }

  /** How fast a guest's clock counts here. */
  static long tscKilohertz(Deadline deadline) throws IOException {
    try (YardstickProcess clock = start(List.of(), List.of("clock"))) {
      return clock.answer(deadline).get("tscKilohertz").asLong();
    }
  }

  /**
   * Leaves free memory behind that the host of this virtual machine still backs, as much as a guest
   * needs: right before a stream, or the side that streams right after another has ended wins by
   * its memory alone.
   */
  static void warmMemory(long bytes) throws IOException {
    warm(bytes, BenchCase.Memory.ANONYMOUS);
  }

  /**
   * @param memory what is touched once: free pages, or those that the host has set aside
   */
  static void warm(long bytes, BenchCase.Memory memory) throws IOException {
    try (YardstickProcess warm =
        start(List.of(), List.of("warm", Long.toString(bytes), memory.word()))) {
      int code = warm.process.onExit().join().exitValue();
      if (code != 0) {
        throw new IOException("yardstick warm ended with exit code " + code);
      }
    }
  }

  long pid() {
    return process.pid();
  }

  /** Lets it begin with what it was told to do later. */
  void goAhead() throws IOException {
    process.getOutputStream().write('\n');
    process.getOutputStream().flush();
  }

  /**
   * What it prints: one line, when it has done what it was told.
   *
   * @throws IOException if it ends without
   */
  JsonNode answer(Deadline deadline) throws IOException {
    deadline.await("yardstick " + words, () -> output.ready() || !process.isAlive());
    String line = output.readLine();
    if (line == null) {
      throw new IOException(
          "yardstick %s ended with exit code %d and said nothing"
              .formatted(words, process.onExit().join().exitValue()));
    }
    return JSON.readTree(line);
  }

  @Override
  public void close() {
    process.destroyForcibly();
    process.onExit().join();
  }
}
