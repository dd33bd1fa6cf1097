package ward.testbed;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.NavigableMap;
import java.util.TreeMap;
import java.util.stream.Stream;
import ward.memory.GuestLayout;
import ward.memory.PageSet;
import ward.memory.Pages;

/**
 * A guest's memory in another process, looked at from outside by /proc/PID/mem and
 * /proc/PID/pagemap: without a word from the daemon under test, and without touching a page.
 */
final class OutsideView implements AutoCloseable {

  private static final int ENTRY_BYTES = 8;
  private static final int RUN_PAGES_MAX = 64;
  private static final int RUN_BYTES_MAX = RUN_PAGES_MAX * Pages.SIZE_BYTES;
  private static final long PRESENT = 1L << 63;
  private static final long SWAP = 1L << 62;
  private static final long TYPE_MASK = 31;
  private static final long TYPE_PTE_MARKER = 31;
  private static final String MARKER_FILE = "/memfd:ward-lost-";
  private static final long OFFSET_POISONED = 2L << 5;

  private final boolean huge;
  private final GuestLayout layout;
  private final List<Long> hostAddresses;
  private final FileChannel memory;
  private final FileChannel pagemap;
  private final NavigableMap<Long, Long> markerMappings = new TreeMap<>();
  private final ByteBuffer page = ByteBuffer.allocateDirect(Pages.SIZE_BYTES);
  private final ByteBuffer run = ByteBuffer.allocateDirect(RUN_BYTES_MAX);
  private final ByteBuffer runExpected = ByteBuffer.allocateDirect(RUN_BYTES_MAX);
  private final ByteBuffer entries =
      ByteBuffer.allocateDirect(RUN_PAGES_MAX * ENTRY_BYTES).order(ByteOrder.LITTLE_ENDIAN);
  private final ByteBuffer entry =
      ByteBuffer.allocateDirect(ENTRY_BYTES).order(ByteOrder.LITTLE_ENDIAN);

  /**
   * @param hostAddresses where the regions are mapped in that process
   */
  OutsideView(long pid, GuestLayout layout, List<Long> hostAddresses) throws IOException {
    this(pid, layout, hostAddresses, false);
  }

  /**
   * @param huge whether the memory consists of huge pages, whose markers have no entry to be seen
   */
  OutsideView(long pid, GuestLayout layout, List<Long> hostAddresses, boolean huge)
      throws IOException {
    this.huge = huge;
    this.layout = layout;
    this.hostAddresses = hostAddresses;
    memory = FileChannel.open(Path.of("/proc/" + pid + "/mem"), StandardOpenOption.READ);
    pagemap = FileChannel.open(Path.of("/proc/" + pid + "/pagemap"), StandardOpenOption.READ);
    try (Stream<String> mappings = Files.lines(Path.of("/proc/" + pid + "/maps"))) {
      mappings.filter(line -> line.contains(MARKER_FILE)).forEach(this::addMarkerMapping);
    }
  }

  /** {@code 7f0000001000-7f0000003000 rw-p ...}: where a mapping is the marker. */
  private void addMarkerMapping(String line) {
    String[] range = line.split(" ", 2)[0].split("-");
    markerMappings.put(Long.parseUnsignedLong(range[0], 16), Long.parseUnsignedLong(range[1], 16));
  }

  /**
   * @param wrongPages healthy pages whose bytes differ from the source's
   * @param markers pages that raise SIGBUS
   * @param healedPages lost pages that can be read
   * @param sourceDigest SHA-256 of all healthy pages in the source's file, in order
   * @param destinationDigest of the same pages here
   */
  record Comparison(
      long wrongPages,
      long markers,
      long healedPages,
      String sourceDigest,
      String destinationDigest) {}

  /** Every page against the file that the source served. */
  Comparison compare(WalkerGuest guest, FileChannel sourceFile, PageSet lost) throws IOException {
    return compare(guest, sourceFile, lost, new PageSet());
  }

  /**
   * Every page against the file that the source served.
   *
   * @param changed pages that the guest has written since, which are left out
   */
  Comparison compare(WalkerGuest guest, FileChannel sourceFile, PageSet lost, PageSet changed)
      throws IOException {
    MessageDigest source = sha256();
    MessageDigest destination = sha256();
    ByteBuffer expected = ByteBuffer.allocateDirect(Pages.SIZE_BYTES);
    long wrong = 0;
    long markers = 0;
    long healed = 0;
    for (long index = 0; index < layout.pageCount(); index++) {
      if (changed.contains(index)) {
        continue;
      }
      boolean marked = isMarked(index);
      markers += marked ? 1 : 0;
      boolean readable = read(index);
      if (lost.contains(index)) {
        healed += readable || !marked ? 1 : 0;
        continue;
      }
      readFully(sourceFile, guest.fileOffsetOf(index), expected.clear());
      wrong += readable && expected.equals(page) ? 0 : 1;
      source.update(expected.duplicate());
      destination.update(page.duplicate());
    }
    return new Comparison(wrong, markers, healed, hex(source), hex(destination));
  }

  /**
   * @param wrong healthy pages whose bytes differ from the source's, or that are marked
   * @param healed lost pages that can be read, or are not marked
   */
  record Faults(long wrong, long healed) {

    private Faults and(Faults more) {
      return new Faults(wrong + more.wrong, healed + more.healed);
    }
  }

  /**
   * Every page against the file that the source served, without a digest: quicker. Pages that need
   * no look of their own are compared many at a time, and one by one if that finds anything.
   *
   * @param changed pages that the guest has written since, which are left out
   */
  Faults faults(FileChannel sourceFile, PageSet lost, PageSet changed) throws IOException {
    PageSet apart = lost.copy();
    apart.addAll(changed);
    Faults found = new Faults(0, 0);
    for (long first = 0; first < layout.pageCount(); ) {
      long end = endOfRun(first, apart);
      if (apart.contains(first) || !isRight(sourceFile, first, end)) {
        found = found.and(faultsOneByOne(sourceFile, first, end, lost, changed));
      }
      first = end;
    }
    return found;
  }

  /** Pages of one region that lie apart, or do not; no more than are compared at a time. */
  private long endOfRun(long first, PageSet apart) {
    int region = layout.regionOf(first);
    long endOfRegion = layout.firstPageOf(region) + layout.regions().get(region).pageCount();
    long most = Math.min(endOfRegion, first + RUN_PAGES_MAX);
    long end = first + 1;
    while (end < most && apart.contains(end) == apart.contains(first)) {
      end++;
    }
    return end;
  }

  /** Whether no page is marked, all can be read, and every byte is the source's. */
  private boolean isRight(FileChannel sourceFile, long first, long end) throws IOException {
    int bytes = (int) Pages.bytes(end - first);
    if (hasMarker(first, end) || !read(hostAddress(first), run.clear().limit(bytes))) {
      return false;
    }
    readFully(sourceFile, fileOffset(first), runExpected.clear().limit(bytes));
    return run.equals(runExpected);
  }

  private boolean hasMarker(long first, long end) throws IOException {
    Map.Entry<Long, Long> mapping = markerMappings.lowerEntry(hostAddress(end - 1) + 1);
    if (mapping != null && mapping.getValue() > hostAddress(first)) {
      return true;
    }
    entries.clear().limit((int) (end - first) * ENTRY_BYTES);
    readFully(pagemap, (hostAddress(first) >>> Pages.SHIFT) * ENTRY_BYTES, entries);
    while (entries.hasRemaining()) {
      if (isMarker(entries.getLong())) {
        return true;
      }
    }
    return false;
  }

  private Faults faultsOneByOne(
      FileChannel sourceFile, long first, long end, PageSet lost, PageSet changed)
      throws IOException {
    ByteBuffer expected = ByteBuffer.allocateDirect(Pages.SIZE_BYTES);
    long wrong = 0;
    long healed = 0;
    for (long index = first; index < end; index++) {
      boolean marked = isMarked(index);
      if (lost.contains(index)) {
        healed += !marked || read(index) ? 1 : 0;
      } else if (!changed.contains(index)) {
        readFully(sourceFile, fileOffset(index), expected.clear());
        wrong += !marked && read(index) && expected.equals(page) ? 0 : 1;
      }
    }
    return new Faults(wrong, healed);
  }

  private long fileOffset(long index) {
    int region = layout.regionOf(index);
    return layout.regions().get(region).fileOffset()
        + Pages.bytes(index - layout.firstPageOf(region));
  }

  /**
   * @param pages that are in place
   * @param wrong those of them whose bytes differ from the source's
   */
  record Arrived(long pages, long wrong) {}

  /**
   * The pages that have come so far. It looks at no other: whoever reads a missing page by
   * /proc/PID/mem waits for it as the guest does, or is told EIO, depending on the kernel.
   */
  Arrived compareArrived(WalkerGuest guest, FileChannel sourceFile) throws IOException {
    ByteBuffer expected = ByteBuffer.allocateDirect(Pages.SIZE_BYTES);
    long pages = 0;
    long wrong = 0;
    for (long index = 0; index < layout.pageCount(); index++) {
      if ((pagemapEntry(index) & PRESENT) != 0) {
        pages++;
        readFully(sourceFile, guest.fileOffsetOf(index), expected.clear());
        wrong += read(index) && expected.equals(page) ? 0 : 1;
      }
    }
    return new Arrived(pages, wrong);
  }

  private static MessageDigest sha256() {
    try {
      return MessageDigest.getInstance("SHA-256");
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException(e);
    }
  }

  private static String hex(MessageDigest digest) {
    return HexFormat.of().formatHex(digest.digest());
  }

  private long hostAddress(long index) {
    int region = layout.regionOf(index);
    return hostAddresses.get(region) + Pages.bytes(index - layout.firstPageOf(region));
  }

  private boolean isMarked(long index) throws IOException {
    long address = hostAddress(index);
    Map.Entry<Long, Long> mapping = markerMappings.floorEntry(address);
    return mapping != null && address < mapping.getValue()
        || hasMarkerEntry(index)
        || huge && (pagemapEntry(index) & PRESENT) == 0 && !read(index);
  }

  private boolean hasMarkerEntry(long index) throws IOException {
    return isMarker(pagemapEntry(index));
  }

  private static boolean isMarker(long value) {
    return (value & SWAP) != 0
        && (value & TYPE_MASK) == TYPE_PTE_MARKER
        && (value & OFFSET_POISONED) != 0;
  }

  private long pagemapEntry(long index) throws IOException {
    entry.clear();
    pagemap.read(entry, (hostAddress(index) >>> Pages.SHIFT) * ENTRY_BYTES);
    return entry.getLong(0);
  }

  /** Whether the page can be read; then {@link #page} holds it. */
  private boolean read(long index) {
    return read(hostAddress(index), page.clear());
  }

  private boolean read(long address, ByteBuffer into) {
    try {
      while (into.hasRemaining()) {
        if (memory.read(into, address + into.position()) <= 0) {
          return false;
        }
      }
      into.flip();
      return true;
    } catch (IOException unreadable) {
      return false; // EIO: the kernel found the marker
    }
  }

  private static void readFully(FileChannel file, long offset, ByteBuffer into) throws IOException {
    while (into.hasRemaining()) {
      if (file.read(into, offset + into.position()) < 0) {
        throw new IOException("the source's file ended at offset " + offset);
      }
    }
    into.flip();
  }

  @Override
  public void close() throws IOException {
    memory.close();
    pagemap.close();
  }
}
