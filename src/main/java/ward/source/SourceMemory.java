package ward.source;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.stream.IntStream;
import ward.guest.GuestMemory;
import ward.kernel.Fd;
import ward.kernel.Kernel;
import ward.kernel.Linux;
import ward.kernel.MappedAhead;
import ward.memory.GuestLayout;
import ward.memory.GuestRegion;

/** A guest's memory file, mapped region by region. */
public final class SourceMemory implements ServedMemory, AutoCloseable {

  /** What a mapping is for. */
  public enum Access {
    /** Nobody runs in it. */
    READ(Linux.O_RDONLY, Linux.PROT_READ),
    /**
     * The kernel demands a file that is open for writing of whoever places poison markers in a
     * shared mapping of it.
     */
    MARK(Linux.O_RDWR, Linux.PROT_READ),
    /** The guest runs in it. */
    RUN(Linux.O_RDWR, Linux.PROT_READ | Linux.PROT_WRITE);

    private final int openFlags;
    private final int protection;

    Access(int openFlags, int protection) {
      this.openFlags = openFlags;
      this.protection = protection;
    }
  }

  private final Kernel kernel;
  private final Fd file;
  private final GuestMemory memory;
  private final EmptyPages empty;
  private final AtomicBoolean closed = new AtomicBoolean();

  private SourceMemory(Kernel kernel, Fd file, GuestMemory memory, EmptyPages empty) {
    this.kernel = kernel;
    this.file = file;
    this.memory = memory;
    this.empty = empty;
  }

  /**
   * Maps what the layout says.
   *
   * @param path a file, a memfd by {@code /proc/PID/fd/N}, or anything else that mmap(2) takes
   * @param access what is done with it, beside reading
   * @throws IOException if the file cannot be mapped, or is shorter than the layout; both lengths
   *     are in the message
   */
  public static SourceMemory map(Kernel kernel, Path path, GuestLayout layout, Access access)
      throws IOException {
    requireLength(path, layout);
    Fd file = kernel.open(path.toString(), access.openFlags);
    long[] addresses = new long[layout.regions().size()];
    try {
      for (int i = 0; i < addresses.length; i++) {
        GuestRegion region = layout.regions().get(i);
        addresses[i] =
            kernel.mapShared(file, region.fileOffset(), region.lengthBytes(), access.protection);
      }
      GuestMemory memory = new GuestMemory(layout, addresses);
      return new SourceMemory(kernel, file, memory, new EmptyPages(file, memory));
    } catch (IOException e) {
      unmap(kernel, layout, addresses);
      file.close();
      throw e;
    }
  }

  /** A page past the end of the file could be neither read nor called lost. */
  private static void requireLength(Path path, GuestLayout layout) throws IOException {
    long bytes = Files.size(path);
    if (bytes < layout.fileBytes()) {
      throw new IOException(
          "%s has %d bytes, but the layout of guest %s needs %d: this is another guest's memory, or a copy that was cut short"
              .formatted(path, bytes, layout.guest(), layout.fileBytes()));
    }
  }

  private static void unmap(Kernel kernel, GuestLayout layout, long[] addresses) {
    for (int i = 0; i < addresses.length; i++) {
      if (addresses[i] != 0) {
        kernel.unmap(addresses[i], layout.regions().get(i).lengthBytes());
      }
    }
  }

  /** The file's device, inode and length by stat(2): another file has others while this exists. */
  @Override
  public String identity() throws IOException {
    Path open = Path.of("/proc/self/fd", Integer.toString(file.number()));
    Map<String, Object> stat = Files.readAttributes(open, "unix:dev,ino,size");
    return "device %s, inode %s, %s bytes"
        .formatted(stat.get("dev"), stat.get("ino"), stat.get("size"));
  }

  @Override
  public long emptyPages(long firstPage, long most) {
    return empty.leading(firstPage, most);
  }

  @Override
  public long filledPages(long firstPage, long most) {
    return empty.leadingOthers(firstPage, most);
  }

  /** Where the regions are mapped. */
  @Override
  public GuestMemory memory() {
    return memory;
  }

  /**
   * Makes ready for being read what can be, in the background: before there is anybody to read for.
   * Not before markers are placed, which is for pages that are not mapped.
   *
   * @return to be closed before the memory is
   */
  public MappedAhead mapAhead() {
    GuestLayout layout = memory.layout();
    int regions = layout.regions().size();
    long[] lengths = layout.regions().stream().mapToLong(GuestRegion::lengthBytes).toArray();
    long[] addresses = IntStream.range(0, regions).mapToLong(memory::hostAddressOfRegion).toArray();
    return MappedAhead.begin(kernel, addresses, lengths);
  }

  /**
   * Unmaps the memory, once: the addresses may be somebody else's afterwards, a thread's stack for
   * instance.
   */
  @Override
  public void close() {
    if (closed.getAndSet(true)) {
      return;
    }
    GuestLayout layout = memory.layout();
    long[] addresses = new long[layout.regions().size()];
    for (int i = 0; i < addresses.length; i++) {
      addresses[i] = memory.hostAddressOfRegion(i);
    }
    unmap(kernel, layout, addresses);
    empty.close();
    file.close();
  }
}
