package ward.testbed;

import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import ward.memory.Pages;

/**
 * A page of this host's physical memory, as another process sees it, which can be given up for
 * good. Root's right.
 */
final class HostPage {

  private static final Path HARD_OFFLINE = Path.of("/sys/devices/system/memory/hard_offline_page");
  private static final long PRESENT = 1L << 63;
  private static final long FRAME = (1L << 55) - 1;

  private final long address;

  private HostPage(long address) {
    this.address = address;
  }

  /**
   * @param file that the process has mapped from its beginning
   * @param offset into the file, bytes; the process has touched that page
   */
  static HostPage of(long pid, Path file, long offset) throws IOException {
    return at(pid, mapping(pid, file) + offset)
        .orElseThrow(
            () ->
                new IOException(
                    "process %d has no page at offset 0x%x of %s".formatted(pid, offset, file)));
  }

  /**
   * @param hostAddress in the process
   * @return empty if the process has no page there
   */
  static Optional<HostPage> at(long pid, long hostAddress) throws IOException {
    try (RandomAccessFile pagemap = new RandomAccessFile("/proc/%d/pagemap".formatted(pid), "r")) {
      byte[] bytes = new byte[Long.BYTES];
      pagemap.seek(hostAddress / Pages.SIZE_BYTES * Long.BYTES);
      pagemap.readFully(bytes);
      long entry = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN).getLong();
      return (entry & PRESENT) == 0
          ? Optional.empty()
          : Optional.of(new HostPage(Pages.bytes(entry & FRAME)));
    }
  }

  private static long mapping(long pid, Path file) throws IOException {
    return Files.readAllLines(Path.of("/proc/%d/maps".formatted(pid))).stream()
        .filter(line -> line.endsWith(" " + file))
        .map(line -> Long.parseUnsignedLong(line.substring(0, line.indexOf('-')), 16))
        .min(Long::compareUnsigned)
        .orElseThrow(() -> new IOException("process %d has not mapped %s".formatted(pid, file)));
  }

  /** Makes the kernel treat it as a page whose memory is broken, mm/memory-failure.c. */
  void breakIt() throws IOException {
    Files.writeString(HARD_OFFLINE, "0x%x".formatted(address));
  }

  @Override
  public String toString() {
    return "physical page 0x%x".formatted(address);
  }
}
