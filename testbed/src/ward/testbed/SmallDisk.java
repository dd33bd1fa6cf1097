package ward.testbed;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.List;

/**
 * A small tmpfs that can be filled up, in a mount namespace of its own: a process keeps it, and
 * when that ends, however the test does, the mount is gone. Needs root.
 */
final class SmallDisk implements AutoCloseable {

  static final int PAGE_BYTES = 4096;

  /** Longer than any test; for the case that nobody is left to end it. */
  private static final String SECONDS_MAX = "600";

  private final Path mountPoint;
  private final Process keeper;

  private SmallDisk(Path mountPoint, Process keeper) {
    this.mountPoint = mountPoint;
    this.keeper = keeper;
  }

  /**
   * @param options of mount(8), for instance {@code size=64k}
   */
  static SmallDisk mount(Path mountPoint, String options) throws IOException {
    Files.createDirectory(mountPoint);
    Process keeper =
        new ProcessBuilder(
                "unshare",
                "--mount",
                "sh",
                "-c",
                "mount -t tmpfs -o \"$1\" ward-test \"$0\" && echo mounted && exec sleep \"$2\"",
                mountPoint.toString(),
                options,
                SECONDS_MAX)
            .redirectErrorStream(true)
            .start();
    BufferedReader output = keeper.inputReader(StandardCharsets.UTF_8);
    String line = output.readLine();
    if (!"mounted".equals(line)) {
      keeper.destroyForcibly();
      throw new IOException("no tmpfs at %s: %s".formatted(mountPoint, line));
    }
    return new SmallDisk(mountPoint, keeper);
  }

  /** Runs a daemon where the disk is mounted. */
  List<String> prefix() {
    return List.of("nsenter", "--mount", "--target", Long.toString(keeper.pid()));
  }

  /** Where a daemon finds a file of the disk. */
  Path inside(String name) {
    return mountPoint.resolve(name);
  }

  /** Where this process does. */
  Path outside(String name) {
    return Path.of("/proc/" + keeper.pid() + "/root" + mountPoint.resolve(name));
  }

  /** No page is left. What fits into the last page of a file still does. */
  void fill() throws IOException {
    try (OutputStream filler =
        Files.newOutputStream(
            outside("filler"), StandardOpenOption.CREATE, StandardOpenOption.APPEND)) {
      byte[] page = new byte[PAGE_BYTES];
      while (true) {
        filler.write(page);
      }
    } catch (IOException full) {
      if (!full.getMessage().contains("No space left")) {
        throw full;
      }
    }
  }

  /** Takes back {@link #fill}. */
  void free() throws IOException {
    Files.delete(outside("filler"));
  }

  @Override
  public void close() {
    keeper.destroyForcibly();
    keeper.onExit().join();
  }
}
