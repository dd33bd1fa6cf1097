package ward.testbed.lab;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.OutputStream;
import java.io.PrintWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;

/**
 * One emulated machine that runs: a process, and a thread that reads its serial port. Closing it
 * ends the process.
 */
final class Machine implements AutoCloseable {

  /** How it ended. */
  enum End {
    /** It ran what it was given and switched itself off. */
    POWERED_OFF,
    PANICKED,
    /** The emulator ended before the machine had said its result. */
    DIED,
    DEADLINE
  }

  private static final Duration TO_POWER_OFF = Duration.ofSeconds(10);

  private final Process process;
  private final Console console = new Console();
  private final Thread shutdown;
  private Thread reader;

  private Machine(Process process) {
    this.process = process;
    this.shutdown = new Thread(process::destroyForcibly);
  }

  static Machine start(ProcessBuilder emulator) throws IOException {
    Machine machine = new Machine(emulator.redirectErrorStream(true).start());
    // Whoever interrupts the lab does not want the machine to go on.
    Runtime.getRuntime().addShutdownHook(machine.shutdown);
    return machine;
  }

  /**
   * Begins to read the console. To be called once, before {@link #await}.
   *
   * @param log keeps all of it
   * @param listener hears every line that is to be read, on a thread of its own
   */
  void listen(Path log, Consumer<String> listener) {
    reader = new Thread(() -> read(log, listener), "lab-console");
    reader.setDaemon(true);
    reader.start();
  }

  private void read(Path log, Consumer<String> listener) {
    try (BufferedReader lines =
            new BufferedReader(
                new InputStreamReader(process.getInputStream(), StandardCharsets.UTF_8));
        PrintWriter copy = new PrintWriter(Files.newBufferedWriter(log))) {
      for (String line = lines.readLine(); line != null; line = lines.readLine()) {
        copy.println(line);
        copy.flush();
        hear(line, listener);
      }
    } catch (IOException closed) {
      // The process was ended.
    }
  }

  private void hear(String line, Consumer<String> listener) {
    boolean readable;
    synchronized (console) {
      readable = console.accept(line);
      console.notifyAll();
    }
    if (readable) {
      listener.accept(line);
    }
  }

  /** What the machine reads on its serial port. */
  OutputStream input() {
    return process.getOutputStream();
  }

  /** Waits until the machine is done or lost. */
  End await(Duration deadline) throws IOException {
    long end = System.nanoTime() + deadline.toNanos();
    try {
      synchronized (console) {
        while (!console.isOver() && reader.isAlive()) {
          long left = (end - System.nanoTime()) / 1_000_000;
          if (left <= 0) {
            return End.DEADLINE;
          }
          console.wait(Math.min(left, 200));
        }
      }
      // After a panic there is more to read, too.
      process.waitFor(TO_POWER_OFF.toMillis(), TimeUnit.MILLISECONDS);
      return end();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IOException("interrupted", e);
    }
  }

  private End end() {
    synchronized (console) {
      if (console.panic().isPresent()) {
        return End.PANICKED;
      }
      return console.exitCode().isPresent() ? End.POWERED_OFF : End.DIED;
    }
  }

  /** What it said. To be asked when it has ended. */
  Console console() {
    synchronized (console) {
      return console;
    }
  }

  /** Pulls the plug. */
  void kill() {
    process.destroyForcibly();
  }

  @Override
  public void close() {
    kill();
    try {
      Runtime.getRuntime().removeShutdownHook(shutdown);
    } catch (IllegalStateException e) {
      // The JVM is ending, by Ctrl-C.
    }
  }
}
