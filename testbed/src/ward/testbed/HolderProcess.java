package ward.testbed;

import java.io.File;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/** A {@link Holder} in a process of its own. Closing it ends it, and the guest in it. */
final class HolderProcess implements AutoCloseable {

  /** Slow enough that threads still miss pages while a daemon after the other is started. */
  private static final long PACE_MICROS = 1000;

  private final Process process;
  private final Path directory;

  private HolderProcess(Process process, Path directory) {
    this.process = process;
    this.directory = directory;
  }

  /**
   * @param directory gets its socket, log and output
   * @param layout of the memory that it makes
   */
  static HolderProcess start(Path directory, Path layout, LoopbackSettings settings)
      throws IOException {
    return start(
        directory,
        layout,
        settings.vcpus(),
        settings.seed(),
        PACE_MICROS,
        Daemon.machineOptions("destination"));
  }

  /**
   * @param paceMicros how long a thread rests after each page
   * @param machineOptions the Java virtual machine's
   */
  static HolderProcess start(
      Path directory,
      Path layout,
      int threads,
      long seed,
      long paceMicros,
      List<String> machineOptions)
      throws IOException {
    List<String> command = new ArrayList<>();
    command.add(ProcessHandle.current().info().command().orElse("java"));
    command.addAll(machineOptions);
    command.add("-cp");
    command.add(
        WardJar.path() + File.pathSeparator + WardJar.path().resolveSibling("test-classes"));
    command.add(Holder.class.getName());
    command.addAll(List.of("--socket", directory.resolve("owner.sock").toString()));
    command.addAll(List.of("--layout", layout.toString()));
    command.addAll(List.of("--threads", Integer.toString(threads)));
    command.addAll(List.of("--seed", Long.toString(seed)));
    command.addAll(List.of("--pace", Long.toString(paceMicros)));
    command.addAll(List.of("--log", directory.resolve("touches").toString()));
    Process process =
        new ProcessBuilder(command)
            .redirectOutput(directory.resolve("holder.out").toFile())
            .redirectError(directory.resolve("holder.err").toFile())
            .start();
    return new HolderProcess(process, directory);
  }

  Path socket() {
    return directory.resolve("owner.sock");
  }

  /** What its threads read. */
  Path touches() {
    return directory.resolve("touches");
  }

  /** From now on its threads read without a rest: what they were slow for is over. */
  void hurry() throws IOException {
    command("pace 0");
  }

  /** How many pages its threads have read. */
  long touchCount() throws IOException {
    try (var lines = Files.lines(touches())) {
      return lines.count();
    }
  }

  long pid() {
    return process.pid();
  }

  /** Everything that it said so far. */
  List<String> said() throws IOException {
    return Files.readAllLines(directory.resolve("holder.out"));
  }

  boolean hasSaid(String line) throws IOException {
    return said().contains(line);
  }

  String errors() {
    try {
      return Files.readString(directory.resolve("holder.err")) + String.join("\n", said());
    } catch (IOException e) {
      return e.toString();
    }
  }

  void command(String format, Object... values) throws IOException {
    OutputStream commands = process.getOutputStream();
    commands.write((format.formatted(values) + "\n").getBytes(StandardCharsets.UTF_8));
    commands.flush();
  }

  /** SIGKILL; returns when it is gone. */
  void kill() {
    process.destroyForcibly();
    process.onExit().join();
  }

  @Override
  public void close() {
    process.destroyForcibly();
  }
}
