package ward.testbed;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.List;
import java.util.concurrent.TimeUnit;

/** A file system of its own, a small tmpfs, that can be full. Needs root; unmounted when closed. */
final class ChaosDisk implements AutoCloseable {

  private static final String SIZE = "256k";
  private static final int BLOCK_BYTES = 4096;
  private static final int MOUNT_SECONDS = 30;

  private final Path directory;
  private final Path filler;

  private ChaosDisk(Path directory) {
    this.directory = directory;
    this.filler = directory.resolve("filler");
  }

  /**
   * @param directory made here
   * @throws IOException if it cannot be mounted
   */
  static ChaosDisk mount(Path directory) throws IOException {
    Files.createDirectories(directory);
    run(List.of("mount", "-t", "tmpfs", "-o", "size=" + SIZE, "ward-chaos", directory.toString()));
    return new ChaosDisk(directory);
  }

  /** Takes every block that is left; files that are there already can grow to the end of theirs. */
  synchronized void fill() throws IOException {
    try (FileChannel file =
        FileChannel.open(filler, StandardOpenOption.CREATE, StandardOpenOption.WRITE)) {
      ByteBuffer block = ByteBuffer.allocate(BLOCK_BYTES);
      while (file.write(block.clear(), file.size()) > 0) {
        // until there is none
      }
    } catch (IOException full) {
      if (!String.valueOf(full.getMessage()).contains("No space left")) {
        throw full;
      }
    }
  }

  /** Gives it all back. */
  synchronized void free() throws IOException {
    Files.deleteIfExists(filler);
  }

  private static void run(List<String> command) throws IOException {
    Process process =
        new ProcessBuilder(command)
            .redirectErrorStream(true)
            .redirectOutput(ProcessBuilder.Redirect.DISCARD)
            .start();
    try {
      if (!process.waitFor(MOUNT_SECONDS, TimeUnit.SECONDS) || process.exitValue() != 0) {
        throw new IOException("%s failed; it needs root".formatted(String.join(" ", command)));
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IOException("interrupted", e);
    }
  }

  /** Also while a process that is about to end has files open there. */
  @Override
  public void close() throws IOException {
    run(List.of("umount", "--lazy", directory.toString()));
  }
}
