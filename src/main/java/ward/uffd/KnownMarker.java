package ward.uffd;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import ward.kernel.Kernel;
import ward.memory.Pages;

/**
 * What the page table entry of a poison marker looks like on this kernel, found out by placing one.
 *
 * <p>An entry of {@code /proc/PID/pagemap} that is not in memory has the kind of its swap entry in
 * bits 0 to 4 and an offset above, which for a marker says what it marks; both are zeros for a
 * reader without {@code CAP_SYS_ADMIN} ({@code pte_to_pagemap_entry} in fs/proc/task_mmu.c).
 *
 * @see <a href="https://docs.kernel.org/admin-guide/mm/pagemap.html">pagemap</a>
 */
final class KnownMarker {

  private static final Path OWN = Path.of("/proc/self/pagemap");

  /** Bit 55, soft-dirty, and the bits up to 58 come and go with what else is asked of a page. */
  private static final long KIND = ~(0xFL << 55);

  private KnownMarker() {}

  /** An entry without what does not belong to its kind. */
  static long kindOf(long entry) {
    return entry & KIND;
  }

  /**
   * @throws IOException if this process is not shown what kind of entry it is
   */
  static long entry(Kernel kernel) throws IOException {
    long kind = kindOf(entryOfAProbe(kernel));
    if (kind == MarkerScan.SWAPPED || (kind & MarkerScan.SWAPPED) == 0) {
      throw new IOException(
          "a poison marker made for comparison reads 0x%x in %s: without CAP_SYS_ADMIN the kernel does not show what kind of entry it is, and markers in the memory of another process cannot be told from swapped pages. Run with CAP_SYS_ADMIN"
              .formatted(kind, OWN));
    }
    return kind;
  }

  private static long entryOfAProbe(Kernel kernel) throws IOException {
    long page = kernel.mapAnonymous(Pages.SIZE_BYTES);
    try (Userfaultfd watcher = Userfaultfd.open(kernel)) {
      watcher.register(page, Pages.SIZE_BYTES);
      FillResult placed = watcher.poison(page, Pages.SIZE_BYTES);
      if (placed.outcome() != FillResult.Outcome.COMPLETED) {
        throw new IOException("no poison marker could be placed for comparison: " + placed);
      }
      return read(page);
    } finally {
      kernel.unmap(page, Pages.SIZE_BYTES);
    }
  }

  private static long read(long page) throws IOException {
    ByteBuffer entry = ByteBuffer.allocate(Long.BYTES).order(ByteOrder.nativeOrder());
    try (FileChannel pagemap = FileChannel.open(OWN, StandardOpenOption.READ)) {
      pagemap.read(entry, (page >>> Pages.SHIFT) * Long.BYTES);
    }
    return entry.getLong(0);
  }
}
