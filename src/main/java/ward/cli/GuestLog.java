package ward.cli;

import java.io.BufferedWriter;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import ward.vcpu.ReportListener;

/** Writes down what a guest reports, a line a word; nothing without a file. */
final class GuestLog implements ReportListener, AutoCloseable {

  private final PrintWriter lines; // null without a file

  private GuestLog(PrintWriter lines) {
    this.lines = lines;
  }

  /**
   * @param file null for no log
   */
  static GuestLog open(Path file) {
    try {
      return new GuestLog(
          file == null ? null : new PrintWriter(new BufferedWriter(Files.newBufferedWriter(file))));
    } catch (IOException e) {
      throw new CommandFailure(
          ExitCode.HOST_REFUSED, "--guest-log %s cannot be written: %s".formatted(file, e));
    }
  }

  @Override
  public synchronized void onWord(int vcpu, int value) {
    line("%d 0x%08x".formatted(vcpu, value));
  }

  @Override
  public synchronized void onAside(int vcpu, int value) {
    line("aside %d 0x%08x".formatted(vcpu, value));
  }

  /** Any other line. */
  synchronized void line(String line) {
    if (lines != null) {
      lines.println(line);
      lines.flush();
    }
  }

  @Override
  public void close() {
    if (lines != null) {
      lines.close();
    }
  }
}
