package ward.testbed;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import ward.cli.ControlClient;
import ward.wire.ControlMessage;

/** A {@code ward} process of its own, its output in files. Closing it ends it. */
final class Daemon implements AutoCloseable {

  private static final ObjectMapper JSON = new ObjectMapper();

  /**
   * For {@code --handshake-timeout}: where all is emulated and a guest is at work, a JVM's first
   * words take far more than the usual limit.
   */
  static final String HANDSHAKE_SECONDS = "300";

  private static final int LAST_LINES = 20;

  private final String name;
  private final List<String> arguments;
  private final Process process;
  private final Path output;
  private final Path errors;

  private Daemon(String name, List<String> arguments, Process process, Path output, Path errors) {
    this.name = name;
    this.arguments = arguments;
    this.process = process;
    this.output = output;
    this.errors = errors;
  }

  /**
   * What the process is besides its arguments.
   *
   * @param prefix what runs it in its network, perhaps nothing
   * @param machineOptions the Java virtual machine's, besides those that the launcher gives
   * @param environment more variables than this process has
   */
  record Surroundings(
      List<String> prefix, List<String> machineOptions, Map<String, String> environment) {}

  /**
   * @param prefix what runs it in its network, perhaps nothing
   */
  static Daemon start(Path directory, String name, List<String> prefix, List<String> arguments)
      throws IOException {
    Surroundings around = new Surroundings(prefix, machineOptions(arguments.get(0)), Map.of());
    return start(directory, name, around, arguments);
  }

  static Daemon start(Path directory, String name, Surroundings around, List<String> arguments)
      throws IOException {
    List<String> command = new ArrayList<>(around.prefix());
    command.add(WardJar.launcher().toString());
    command.addAll(arguments);
    Path output = directory.resolve(name + ".out");
    Path errors = directory.resolve(name + ".err");
    ProcessBuilder builder =
        new ProcessBuilder(command)
            .redirectInput(new java.io.File("/dev/null"))
            .redirectOutput(output.toFile())
            .redirectError(errors.toFile());
    builder.environment().putAll(around.environment());
    builder.environment().put("JAVA_HOME", System.getProperty("java.home"));
    builder.environment().put("WARD_JAVA_OPTIONS", String.join(" ", around.machineOptions()));
    return new Daemon(name, arguments, builder.start(), output, errors);
  }

  /**
   * With this process's choice of a compiler: the lab takes one that is quick where everything is
   * emulated.
   *
   * @param kind the daemon's first argument
   */
  static List<String> machineOptions(String kind) {
    return Stream.concat(
            ManagementFactory.getRuntimeMXBean().getInputArguments().stream()
                .filter(option -> option.startsWith("-XX:")),
            ClassArchive.options(kind).stream())
        .toList();
  }

  /** Starts the same once more, in this process's network. */
  Daemon again(Path directory, String otherName) throws IOException {
    return start(directory, otherName, List.of(), arguments);
  }

  long pid() {
    return process.pid();
  }

  boolean isAlive() {
    return process.isAlive();
  }

  /**
   * What it says of itself.
   *
   * @param control its control socket
   * @return null while it does not answer yet
   * @throws IOException if it has ended
   */
  JsonNode status(Path control) throws IOException {
    Optional<String> end = end();
    if (end.isPresent()) {
      throw new IOException(end.get());
    }
    if (!Files.exists(control)) {
      return null;
    }
    try {
      ControlMessage answer = ControlClient.send(control, new ControlMessage.StatusQuery());
      return JSON.readTree(((ControlMessage.Status) answer).json());
    } catch (IOException notListeningYet) {
      return null;
    }
  }

  /** What became of it, with the last lines of its log; empty while it runs. */
  Optional<String> end() {
    return isAlive()
        ? Optional.empty()
        : Optional.of(
            "ward %s ended early, with exit code %d; the last lines of its log:%n%s"
                .formatted(name, process.exitValue(), lastLines()));
  }

  /** The same, but for one that ended well. */
  Optional<String> failure() {
    return isAlive() || process.exitValue() == 0 ? Optional.empty() : end();
  }

  /** The end of its standard error. */
  String lastLines() {
    List<String> lines = errors().lines().toList();
    return String.join(
        System.lineSeparator(),
        lines.subList(Math.max(0, lines.size() - LAST_LINES), lines.size()));
  }

  /** SIGKILL; returns when it is gone. */
  void kill() {
    process.destroyForcibly();
    process.onExit().join();
  }

  /**
   * @param name as kill(1) takes it: {@code STOP}, {@code CONT}
   */
  void signal(String name) throws IOException {
    Process kill = new ProcessBuilder("kill", "-" + name, Long.toString(pid())).start();
    try {
      if (kill.waitFor() != 0) {
        throw new IOException("kill -%s %d failed".formatted(name, pid()));
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IOException("interrupted", e);
    }
  }

  /** SIGTERM. */
  void terminate() {
    process.destroy();
  }

  /** Waits for the end; the exit code. */
  int await(Deadline deadline) throws IOException {
    try {
      if (process.waitFor(deadline.millisLeft(), TimeUnit.MILLISECONDS)) {
        return process.exitValue();
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
    throw new IOException("%s did not end in time; its last words:%n%s".formatted(name, errors()));
  }

  /** Standard output so far. */
  String output() {
    return read(output);
  }

  /** Standard error so far. */
  String errors() {
    return read(errors);
  }

  private static String read(Path file) {
    try {
      return Files.readString(file);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  @Override
  public void close() {
    process.destroyForcibly();
  }
}
