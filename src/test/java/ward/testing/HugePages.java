package ward.testing;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Assumptions;

/** Huge pages of 2 MiB for one test. */
public final class HugePages implements AutoCloseable {

  private static final Path RESERVED =
      Path.of("/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages");
  private static final Path FREE =
      Path.of("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages");

  private final long before;

  private HugePages(long before) {
    this.before = before;
  }

  /** Skips the test where the machine does not have as many and gives none. */
  public static HugePages reserve(int count) throws IOException {
    Assumptions.assumeTrue(Files.exists(RESERVED), "this kernel has no huge pages of 2 MiB");
    long before = number(RESERVED);
    if (number(FREE) < count) {
      Assumptions.assumeTrue(Files.isWritable(RESERVED), "only root reserves huge pages");
      Files.writeString(RESERVED, Long.toString(before + count));
    }
    HugePages pages = new HugePages(before);
    if (number(FREE) < count) {
      pages.close();
      Assumptions.abort("this machine has no %d huge pages to spare".formatted(count));
    }
    return pages;
  }

  /** How many the machine has set aside, used or not. */
  public static long reserved() throws IOException {
    return number(RESERVED);
  }

  private static long number(Path file) throws IOException {
    return Long.parseLong(Files.readString(file).strip());
  }

  @Override
  public void close() throws IOException {
    if (Files.isWritable(RESERVED)) {
      Files.writeString(RESERVED, Long.toString(before));
    }
  }
}
