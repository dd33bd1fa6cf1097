package ward.uffd;

import java.io.EOFException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.function.LongPredicate;
import jnr.constants.platform.Errno;
import ward.kernel.Kernel;
import ward.kernel.Linux;
import ward.memory.Pages;

/**
 * Reads from the page tables of a process what its pages really are: the audit of poison markers,
 * independent of anyone's record.
 *
 * <p>A poison marker is a swap entry of a special type. The type is shown only with {@code
 * CAP_SYS_ADMIN}, so every swapped page is confirmed by {@code MADV_POPULATE_READ}, whose {@code
 * EHWPOISON} names poison without any right.
 *
 * <p>A marker that is a mapping has no entry. It is known by {@code /proc/self/maps}, and confirmed
 * in the same way.
 *
 * <p>{@code MADV_POPULATE_READ} works on the caller's memory only. In another process a marker is
 * known by its entry, with {@code CAP_SYS_ADMIN}: it looks as one that was made here for comparison
 * ({@link #ofProcess}).
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

  private final PoisonMarker marker;
  private final Path pagemap;
  private final Confirmation confirmation;
  private final FileChannel kept; // null: opened for each scan

  /** For markers that {@code UFFDIO_POISON} placed. */
  public MarkerScan(Kernel kernel) {
    this(kernel, new MarkerEntry());
  }

  public MarkerScan(Kernel kernel, PoisonMarker marker) {
    this(kernel, marker, OWN);
  }

  MarkerScan(Kernel kernel, PoisonMarker marker, Path pagemap) {
    this(marker, pagemap, populating(kernel), null);
  }

  private MarkerScan(
      PoisonMarker marker, Path pagemap, Confirmation confirmation, FileChannel kept) {
    this.marker = marker;
    this.pagemap = pagemap;
    this.confirmation = confirmation;
    this.kept = kept;
  }

  /** Tells a marker from a page that is swapped out. */
  private interface Confirmation {
    boolean isMarker(long entry, long address);
  }

  private static Confirmation populating(Kernel kernel) {
    return (entry, address) ->
        kernel.advise(address, Pages.SIZE_BYTES, Linux.MADV_POPULATE_READ)
            == -Errno.EHWPOISON.intValue();
  }

  /**
   * For markers that {@code UFFDIO_POISON} placed in the memory of another process. The process is
   * looked up once: a later one of the same number is not mistaken for it.
   *
   * @throws IOException if this process may not read the other's page tables, or may not see there
   *     what kind of entry a marker is, and what right is missing
   */
  public static MarkerScan ofProcess(Kernel kernel, long process) throws IOException {
    long looksLike = KnownMarker.entry(kernel);
    Path pagemap = Path.of("/proc/%d/pagemap".formatted(process));
    return new MarkerScan(
        new MarkerEntry(),
        pagemap,
        (entry, address) -> KnownMarker.kindOf(entry) == looksLike,
        opened(pagemap));
  }

  private static FileChannel opened(Path pagemap) throws IOException {
    try {
      return FileChannel.open(pagemap, StandardOpenOption.READ);
    } catch (IOException e) {
      throw new IOException(
          "the page tables of the memory's owner cannot be read (%s); run as the same user as the owner, or with CAP_SYS_PTRACE"
              .formatted(e),
          e);
    }
  }

  /** What a page table holds. */
  public enum Real {
    /** A page, in memory or swapped out. */
    MAPPED,
    /** A poison marker: a touch raises SIGBUS. */
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
    LongPredicate withoutEntry = marker.withoutEntry();
    FileChannel channel = kept == null ? FileChannel.open(pagemap, StandardOpenOption.READ) : kept;
    try {
      for (long done = 0; done < pageCount; done += buffer.limit() / Long.BYTES) {
        long address = hostAddress + Pages.bytes(done);
        buffer.clear().limit((int) Math.min(entries, pageCount - done) * Long.BYTES);
        readFully(channel, buffer, address);
        visitAll(buffer.flip(), address, firstPage + done, withoutEntry, visitor);
      }
    } finally {
      if (channel != kept) {
        channel.close();
      }
    }
  }

  private void readFully(FileChannel channel, ByteBuffer buffer, long address) throws IOException {
    long position = (address >>> Pages.SHIFT) * Long.BYTES;
    while (buffer.hasRemaining()) {
      if (channel.read(buffer, position + buffer.position()) < 0) {
        throw new EOFException(
            "%s ends before the entry of the page at 0x%x: the process is gone, or that is no user address"
                .formatted(pagemap, address + Pages.bytes(buffer.position() / Long.BYTES)));
      }
    }
  }

  private void visitAll(
      ByteBuffer entries,
      long address,
      long firstPage,
      LongPredicate withoutEntry,
      Visitor visitor) {
    for (int i = 0; i < entries.limit() / Long.BYTES; i++) {
      long entry = entries.getLong(i * Long.BYTES);
      visitor.visit(firstPage + i, classify(entry, address + Pages.bytes(i), withoutEntry));
    }
  }

  private Real classify(long entry, long address, LongPredicate withoutEntry) {
    if ((entry & PRESENT) != 0) {
      return Real.MAPPED;
    }
    if ((entry & SWAPPED) == 0) {
      return withoutEntry.test(address) ? Real.POISONED : Real.EMPTY;
    }
    return confirmation.isMarker(entry, address) ? Real.POISONED : Real.MAPPED;
  }
}
