package ward.source;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import ward.guest.GuestMemory;
import ward.kernel.Fd;
import ward.kernel.FileHoles;
import ward.memory.GuestLayout;
import ward.memory.GuestRegion;
import ward.memory.Pages;

/**
 * The pages of a memory file that were never written: zeros, which the stream must not read. By
 * loads, a guest of 16 GiB that uses one would take up all of them at the source, when it leaves
 * (tmpfs gives a hole a page at the first load: {@code shmem_fault} in mm/shmem.c).
 *
 * <p>Safe for all threads. The guest stands still, so a hole stays one.
 */
final class EmptyPages implements AutoCloseable {

  private static final Path PAGEMAP = Path.of("/proc/self/pagemap");

  /** A page, or a swap entry, which a poison marker is too (proc_pid_pagemap(5)). */
  private static final long OCCUPIED = 1L << 63 | 1L << 62;

  private static final int LOOK_PAGES = 512;

  /** Of those that are read: where holes are many, a look beyond the next one is in vain. */
  private static final int LOOK_AHEAD_PAGES = 64;

  private final Fd file;
  private final GuestMemory memory;
  private final FileChannel pagemap;
  private final boolean any;
  private final ByteBuffer entries =
      ByteBuffer.allocateDirect(LOOK_PAGES * Long.BYTES).order(ByteOrder.nativeOrder());
  private final ByteBuffer resident = ByteBuffer.allocateDirect(LOOK_PAGES);

  EmptyPages(Fd file, GuestMemory memory) throws IOException {
    this.file = file;
    this.memory = memory;
    this.any = FileHoles.mayBeIn(file, memory.layout().fileBytes());
    this.pagemap = FileChannel.open(PAGEMAP, StandardOpenOption.READ);
  }

  /**
   * How many pages, from the first on, are empty. One that is a hole of the file but has a marker
   * in this process is not: it is lost.
   *
   * @param most of one region
   */
  synchronized long leading(long firstPage, long most) {
    if (!any) {
      return 0;
    }
    long look = Math.min(most, LOOK_PAGES);
    long hole = FileHoles.bytesAt(file, offsetOf(firstPage), Pages.bytes(look)) >>> Pages.SHIFT;
    return hole == 0 ? 0 : unoccupied(firstPage, (int) hole);
  }

  private long offsetOf(long page) {
    GuestLayout layout = memory.layout();
    int index = layout.regionOf(page);
    GuestRegion region = layout.regions().get(index);
    return region.fileOffset() + Pages.bytes(page - layout.firstPageOf(index));
  }

  private long unoccupied(long firstPage, int pages) {
    long number = memory.hostAddressOf(firstPage) >>> Pages.SHIFT;
    entries.clear().limit(pages * Long.BYTES);
    try {
      if (pagemap.read(entries, number * Long.BYTES) < entries.limit()) {
        return 0;
      }
    } catch (IOException e) {
      return 0; // then they are read
    }
    int page = 0;
    while (page < pages && (entries.getLong(page * Long.BYTES) & OCCUPIED) == 0) {
      page++;
    }
    return page;
  }

  /** How many pages, from one on that is not empty, may be read before the next empty one. */
  synchronized long leadingOthers(long firstPage, long most) {
    if (!any) {
      return most;
    }
    int look = (int) Math.min(most, LOOK_AHEAD_PAGES);
    return Math.max(1, FileHoles.residentPages(memory.hostAddressOf(firstPage), look, resident));
  }

  @Override
  public void close() {
    try {
      pagemap.close();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
