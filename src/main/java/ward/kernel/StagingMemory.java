package ward.kernel;

import com.kenai.jffi.MemoryIO;
import java.nio.ByteBuffer;

/**
 * Private anonymous memory of this process for bytes on their way into another mapping: 2 MiB that
 * begin at a multiple of 2 MiB, which the kernel is asked to back with one huge page, and a page
 * before them for what precedes the bytes.
 *
 * <p>Never registered with userfaultfd, so Java may look at it. Pages may be taken out of it
 * ({@code UFFDIO_MOVE}); the next store there gets a fresh one.
 */
public final class StagingMemory implements AutoCloseable {

  /** In front of the bytes. */
  public static final int LEAD_BYTES = 4096;

  /** A huge page, of x86-64 and of arm64 with pages of 4 KiB. */
  public static final int BODY_BYTES = 2 << 20;

  /** Wherever the mapping begins, there is a multiple of 2 MiB with a page before it inside. */
  private static final long MAPPED_BYTES = 2L * BODY_BYTES + LEAD_BYTES;

  private final Kernel kernel;
  private final long mapped;
  private final ByteBuffer bytes;

  private StagingMemory(Kernel kernel, long mapped) {
    long body = (mapped + LEAD_BYTES + BODY_BYTES - 1) & -BODY_BYTES;
    kernel.advise(body, BODY_BYTES, Linux.MADV_HUGEPAGE); // without it, 512 small pages: slower
    this.kernel = kernel;
    this.mapped = mapped;
    this.bytes =
        MemoryIO.getInstance().newDirectByteBuffer(body - LEAD_BYTES, LEAD_BYTES + BODY_BYTES);
  }

  public static StagingMemory map(Kernel kernel) throws KernelCallException {
    return new StagingMemory(kernel, kernel.mapAnonymous(MAPPED_BYTES));
  }

  /** All of it, the body at {@link #LEAD_BYTES}; not to be touched once this is closed. */
  public ByteBuffer bytes() {
    return bytes;
  }

  @Override
  public void close() {
    kernel.unmap(mapped, MAPPED_BYTES);
  }
}
