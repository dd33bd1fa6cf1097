package ward.kernel;

import com.kenai.jffi.MemoryIO;
import java.nio.ByteBuffer;
import jnr.constants.platform.Errno;

/**
 * Where a file holds nothing. A load from a hole of a file in memory makes the kernel give it a
 * page for good; these calls only look.
 */
public final class FileHoles {

  private static final NativeKernel.Stubs STUBS = NativeKernel.stubs();

  private FileHoles() {}

  /**
   * Whether a file may have any: it stores fewer bytes than it is long.
   *
   * @param lengthBytes of the part that is looked at, from its start
   */
  public static boolean mayBeIn(Fd file, long lengthBytes) {
    long stored = STUBS.ward_stored(file.number());
    return stored >= 0 && stored < lengthBytes;
  }

  /**
   * How many bytes from an offset on are a hole, as lseek(2) finds by {@code SEEK_DATA}; what is
   * swapped out is none.
   *
   * @return 0 also where the file system does not tell
   */
  public static long bytesAt(Fd file, long offset, long most) {
    long data = STUBS.ward_next_data(file.number(), offset);
    if (data == -Errno.ENXIO.intValue()) {
      return most; // nothing but a hole up to the end
    }
    return data < 0 ? 0 : Math.min(most, data - offset);
  }

  /**
   * How many pages of a mapping, from its first on, are in memory for certain, as mincore(2) says:
   * no hole is among them.
   *
   * @param room a byte for each page, direct
   */
  public static int residentPages(long address, int pages, ByteBuffer room) {
    long bytes = MemoryIO.getInstance().getDirectBufferAddress(room);
    if (STUBS.ward_resident(address, (long) pages << 12, bytes) != 0) {
      return pages; // it does not tell
    }
    int resident = 0;
    while (resident < pages && (room.get(resident) & 1) != 0) {
      resident++;
    }
    return resident;
  }
}
