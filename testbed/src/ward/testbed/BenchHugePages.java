package ward.testbed;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;

/**
 * Huge pages of 2 MiB that this host sets aside for a case. Closing gives them back, and so does
 * the end of this process, whatever ends it but SIGKILL.
 */
final class BenchHugePages implements AutoCloseable {

  private static final Path POOLS = Path.of("/sys/kernel/mm/hugepages/hugepages-2048kB");

  private final Path pool;
  private final int count;
  private final Thread atTheEnd = new Thread(this::giveBackQuietly, "huge-pages-back");
  private long taken;
  private String shortage; // null if there are as many as asked for

  private BenchHugePages(Path pool, int count) {
    this.pool = pool;
    this.count = count;
  }

  /**
   * @param count 0 where none are needed
   */
  static BenchHugePages reserve(int count) throws IOException {
    return reserve(POOLS, count);
  }

  /**
   * @param pool the kernel's directory of pages of that size
   */
  static BenchHugePages reserve(Path pool, int count) throws IOException {
    BenchHugePages pages = new BenchHugePages(pool, count);
    if (count > 0) {
      pages.take();
    }
    return pages;
  }

  private void take() throws IOException {
    if (!Files.exists(reserved())) {
      shortage = "this kernel has no huge pages of 2 MiB (%s)".formatted(pool);
      return;
    }
    long missing = count - number(free());
    if (missing > 0) {
      takeMore(missing);
    }
  }

  private void takeMore(long missing) throws IOException {
    if (!Files.isWritable(reserved())) {
      shortage =
          "it takes %d huge pages of 2 MiB, %d are free, and only root sets more aside (sysctl vm.nr_hugepages)"
              .formatted(count, count - missing);
      return;
    }
    long before = number(reserved());
    Files.writeString(reserved(), Long.toString(before + missing));
    taken = number(reserved()) - before;
    if (taken > 0) {
      Runtime.getRuntime().addShutdownHook(atTheEnd);
    }
    long there = number(free());
    if (there < count) {
      close();
      shortage =
          "it takes %d huge pages of 2 MiB, and this host can set aside %d".formatted(count, there);
    }
  }

  private Path reserved() {
    return pool.resolve("nr_hugepages");
  }

  private Path free() {
    return pool.resolve("free_hugepages");
  }

  private static long number(Path file) throws IOException {
    return Long.parseLong(Files.readString(file).strip());
  }

  /** Why there are not as many as asked for; empty if there are. */
  Optional<String> shortage() {
    return Optional.ofNullable(shortage);
  }

  @Override
  public void close() throws IOException {
    if (taken > 0) {
      Runtime.getRuntime().removeShutdownHook(atTheEnd);
      giveBack();
      taken = 0;
    }
  }

  /** So many, not back to a number: others may have set some aside meanwhile. */
  private void giveBack() throws IOException {
    Files.writeString(reserved(), Long.toString(number(reserved()) - taken));
  }

  private void giveBackQuietly() {
    try {
      giveBack();
    } catch (IOException e) {
      System.err.printf(
          "testbed/bench: huge pages stay set aside (%s), %d too many; sysctl vm.nr_hugepages gives them back%n",
          e.getMessage(), taken);
    }
  }
}
