package ward.testbed.linux;

import java.io.IOException;
import java.io.OutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.function.Predicate;

/** What a guest writes on its console, line by line, for who waits for a certain one. */
final class ConsoleLines extends OutputStream {

  private final PrintStream copy;
  private final StringBuilder line = new StringBuilder();
  private final List<String> lines = new ArrayList<>();
  private final long startNanos = System.nanoTime();

  /**
   * @param copy gets each line, behind the seconds since this object was made
   */
  ConsoleLines(PrintStream copy) {
    this.copy = copy;
  }

  @Override
  public synchronized void write(int character) {
    if (character == '\n') {
      lines.add(line.toString());
      copy.printf("[%7.3f] %s%n", (System.nanoTime() - startNanos) / 1e9, line);
      line.setLength(0);
      notifyAll();
    } else if (character != '\r') {
      line.append(new String(new byte[] {(byte) character}, StandardCharsets.ISO_8859_1));
    }
  }

  synchronized List<String> all() {
    return List.copyOf(lines);
  }

  /**
   * The first line that is as wanted, at once or when it comes.
   *
   * @throws IOException if it does not come in time
   */
  synchronized String await(String what, Duration limit, Predicate<String> wanted)
      throws IOException {
    long end = System.nanoTime() + limit.toNanos();
    Optional<String> found = first(wanted);
    while (found.isEmpty()) {
      long millis = (end - System.nanoTime()) / 1_000_000;
      if (millis <= 0) {
        throw new IOException("the guest did not say in %s: %s".formatted(limit, what));
      }
      await(millis);
      found = first(wanted);
    }
    return found.get();
  }

  private void await(long millis) throws IOException {
    try {
      wait(millis);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IOException("interrupted", e);
    }
  }

  private Optional<String> first(Predicate<String> wanted) {
    return lines.stream().filter(wanted).findFirst();
  }
}
