package ward.cli;

import java.io.BufferedOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.io.RandomAccessFile;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Arrays;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import ward.vcpu.Console;

/** A guest's serial line as files: one that it writes, and one from which is typed to it. */
final class GuestConsole implements AutoCloseable {

  private static final Logger LOG = LoggerFactory.getLogger(GuestConsole.class);
  private static final int READ_BYTES_MAX = 256;
  private static final long POLL_MILLIS = 50;

  private final Console console;
  private final OutputStream output;
  private final RandomAccessFile input; // null if nothing is typed
  private volatile boolean closed;

  private GuestConsole(OutputStream output, RandomAccessFile input) {
    this.console = new Console(output);
    this.output = output;
    this.input = input;
  }

  /**
   * @param output appended to; null to drop what the guest writes
   * @param input a file that grows, or a FIFO; null to type nothing
   */
  static GuestConsole open(Path output, Path input) {
    GuestConsole opened = new GuestConsole(openOutput(output), openInput(input));
    if (input != null) {
      Thread typist = new Thread(opened::type, "console-input");
      typist.setDaemon(true);
      typist.start();
    }
    return opened;
  }

  private static OutputStream openOutput(Path file) {
    if (file == null) {
      return OutputStream.nullOutputStream();
    }
    try {
      return new BufferedOutputStream(
          Files.newOutputStream(file, StandardOpenOption.CREATE, StandardOpenOption.APPEND));
    } catch (IOException e) {
      throw new CommandFailure(
          ExitCode.HOST_REFUSED, "--console %s cannot be written: %s".formatted(file, e));
    }
  }

  /** For writing too: a FIFO without a writer would otherwise be at its end, or not open at all. */
  private static RandomAccessFile openInput(Path file) {
    if (file == null) {
      return null;
    }
    try {
      if (!Files.exists(file)) {
        throw new java.nio.file.NoSuchFileException(file.toString());
      }
      return new RandomAccessFile(file.toFile(), "rw");
    } catch (IOException e) {
      throw new CommandFailure(
          ExitCode.INPUT_REFUSED, "--console-input %s cannot be opened: %s".formatted(file, e));
    }
  }

  private void type() {
    byte[] characters = new byte[READ_BYTES_MAX];
    try {
      while (!closed) {
        int count = input.read(characters);
        if (count > 0) {
          console.type(Arrays.copyOf(characters, count));
        } else {
          Thread.sleep(POLL_MILLIS);
        }
      }
    } catch (IOException e) {
      if (!closed) {
        LOG.error("nothing more is typed to the guest", e);
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  Console console() {
    return console;
  }

  /** The typist is not waited for: it may be reading a FIFO that nobody writes to. */
  @Override
  public void close() {
    closed = true;
    try {
      output.close();
    } catch (IOException e) {
      LOG.error("the end of the guest's console could not be written", e);
    }
  }
}
