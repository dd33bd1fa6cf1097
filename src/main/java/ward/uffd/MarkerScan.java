package ward.uffd;

import java.io.EOFException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import jnr.constants.platform.Errno;
import ward.kernel.Kernel;
import ward.kernel.Linux;
import ward.memory.Pages;

/**
 * Reads from this process's page tables what its pages really are: the audit of poison markers,
 * independent of anyone's record.
 *
 * <p>A poison marker is a swap entry of a special type. The type is shown only with {@code
 * CAP_SYS_ADMIN}, so every swapped page is confirmed by {@code MADV_POPULATE_READ}, whose {@code
 * EHWPOISON} names poison without any right.
 *
 * <p>Touches no page, and asks nothing about an empty one, which would raise a fault and wait. But
 * a page that is given back between the two steps does raise one: while the guest runs, scan on a
 * thread that does not serve faults.
 *
 * @see <a href="https://docs.kernel.org/admin-guide/mm/pagemap.html">pagemap</a>
 */
public final class MarkerScan {

  static final long PRESENT = 1L << 63;
  static final long SWAPPED = 1L << 62;

  private static final Path OWN = Path.of("/proc/self/pagemap");
  private static final int ENTRIES_PER_READ = 8192;

  private final Kernel kernel;
  private final Path pagemap;

  public MarkerScan(Kernel kernel) {
    this(kernel, OWN);
  }

  MarkerScan(Kernel kernel, Path pagemap) {
    this.kernel = kernel;
    this.pagemap = pagemap;
  }

  /** What a page table holds. */
  public enum Real {
    /** A page, in memory or swapped out. */
    MAPPED,
    /** A poison marker. */
    POISONED,
    /** Nothing. A page of shared memory may still be in its file. */
    EMPTY
  }

  /** Receives one page after the other, in rising order. */
  @FunctionalInterface
  public interface Visitor {
    void visit(long page, Real real);
  }

  /**
   * Visits every page of a mapped range.
   *
   * @param hostAddress host-virtual, of {@code firstPage}; a multiple of 4096
   * @param firstPage the page index by which the visitor knows the page at {@code hostAddress}
   */
  public void scan(long hostAddress, long firstPage, long pageCount, Visitor visitor)
      throws IOException {
    if (!Pages.isAligned(hostAddress)) {
      throw new IllegalArgumentException(
          "scan from 0x%x; a multiple of 4096 is allowed".formatted(hostAddress));
    }
    int entries = (int) Math.min(ENTRIES_PER_READ, pageCount);
    ByteBuffer buffer =
        ByteBuffer.allocateDirect(entries * Long.BYTES).order(ByteOrder.nativeOrder());
    try (FileChannel channel = FileChannel.open(pagemap, StandardOpenOption.READ)) {
      for (long done = 0; done < pageCount; done += buffer.limit() / Long.BYTES) {
        long address = hostAddress + Pages.bytes(done);
        buffer.clear().limit((int) Math.min(entries, pageCount - done) * Long.BYTES);
        readFully(channel, buffer, address);
        visitAll(buffer.flip(), address, firstPage + done, visitor);
      }
    }
  }

  private void readFully(FileChannel channel, ByteBuffer buffer, long address) throws IOException {
    long position = (address >>> Pages.SHIFT) * Long.BYTES;
    while (buffer.hasRemaining()) {
      if (channel.read(buffer, position + buffer.position()) < 0) {
        throw new EOFException(
            "%s ends before the entry of the page at 0x%x; only user addresses can be scanned"
                .formatted(pagemap, address + Pages.bytes(buffer.position() / Long.BYTES)));
      }
    }
  }

  private void visitAll(ByteBuffer entries, long address, long firstPage, Visitor visitor) {
    for (int i = 0; i < entries.limit() / Long.BYTES; i++) {
      long entry = entries.getLong(i * Long.BYTES);
      visitor.visit(firstPage + i, classify(entry, address + Pages.bytes(i)));
    }
  }

  private Real classify(long entry, long address) {
    if ((entry & PRESENT) != 0) {
      return Real.MAPPED;
    }
    if ((entry & SWAPPED) == 0) {
      return Real.EMPTY;
    }
    int answer = kernel.advise(address, Pages.SIZE_BYTES, Linux.MADV_POPULATE_READ);
    return answer == -Errno.EHWPOISON.intValue() ? Real.POISONED : Real.MAPPED;
  }
}
