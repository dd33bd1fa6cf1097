package ward.vcpu;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import ward.guest.GuestMemory;
import ward.kernel.Fd;
import ward.kernel.Kernel;
import ward.kernel.KernelCallException;
import ward.kernel.Linux;
import ward.kernel.NativeMemory;

/**
 * Which pages the threads of a {@link ThreadGuestFactory} guest touch, in which order, and what
 * each touch cost: a file of {@code struct ward_touch}, in the machine's byte order. Whoever
 * measures writes the pages into it; the threads write the rest.
 *
 * <pre>{@code
 * struct ward_touch {
 *     uint64_t page;    // index in the guest's layout
 *     uint64_t address; // host-virtual
 *     uint64_t began;   // CLOCK_MONOTONIC, ns; 0: not touched yet
 *     uint64_t waited;  // ns, until the word was loaded or SIGBUS taken
 *     uint64_t seen;    // the page's first word
 *     uint64_t lost;    // 1 if SIGBUS ended the load
 * };
 * }</pre>
 */
public final class TouchPlan {

  static final int SIZE_BYTES = 48;
  static final int PAGE = 0;
  static final int ADDRESS = 8;
  static final int BEGAN = 16;
  static final int WAITED = 24;
  static final int SEEN = 32;
  static final int LOST = 40;

  private final Kernel kernel;
  private final NativeMemory touches;

  private TouchPlan(Kernel kernel, NativeMemory touches) {
    this.kernel = kernel;
    this.touches = touches;
  }

  /**
   * One line of a plan, after the touch.
   *
   * @param beganNanos of CLOCK_MONOTONIC; 0 if nobody has touched the page
   * @param waitedNanos until the word was loaded, or SIGBUS had been taken
   * @param seen the page's first word, in the machine's byte order; means nothing if lost
   */
  public record Touch(long page, long beganNanos, long waitedNanos, long seen, boolean lost) {}

  /** Writes a plan that nobody has carried out yet. */
  public static void write(Path file, int[] pages) throws IOException {
    ByteBuffer plan = ByteBuffer.allocate(pages.length * SIZE_BYTES).order(ByteOrder.nativeOrder());
    for (int i = 0; i < pages.length; i++) {
      plan.putLong(i * SIZE_BYTES + PAGE, pages[i]);
    }
    Files.write(file, plan.array());
  }

  /** What has come of a plan. */
  public static Touch[] read(Path file) throws IOException {
    ByteBuffer plan = ByteBuffer.wrap(Files.readAllBytes(file)).order(ByteOrder.nativeOrder());
    Touch[] touches = new Touch[plan.capacity() / SIZE_BYTES];
    for (int i = 0; i < touches.length; i++) {
      int at = i * SIZE_BYTES;
      touches[i] =
          new Touch(
              plan.getLong(at + PAGE),
              plan.getLong(at + BEGAN),
              plan.getLong(at + WAITED),
              plan.getLong(at + SEEN),
              plan.getLong(at + LOST) != 0);
    }
    return touches;
  }

  /** Whether a line's page has been touched, and what that cost written down. */
  public static boolean isDone(Path file, int line) throws IOException {
    try (FileChannel plan = FileChannel.open(file, StandardOpenOption.READ)) {
      ByteBuffer waited = ByteBuffer.allocate(Long.BYTES).order(ByteOrder.nativeOrder());
      plan.read(waited, (long) line * SIZE_BYTES + WAITED);
      return waited.getLong(0) != 0;
    }
  }

  /**
   * Maps a plan and writes into it where its pages are. It stays mapped as long as the process
   * lives.
   *
   * @throws IOException if it is no plan, or not one for this memory
   */
  static TouchPlan map(Kernel kernel, Path file, GuestMemory memory) throws IOException {
    long bytes = Files.size(file);
    if (bytes == 0 || bytes % SIZE_BYTES != 0 || bytes > Integer.MAX_VALUE) {
      throw new IOException(
          "touch plan %s has %d bytes; 1 or more times %d are needed, less than 2 GiB"
              .formatted(file, bytes, SIZE_BYTES));
    }
    TouchPlan plan =
        new TouchPlan(kernel, NativeMemory.at(mapped(kernel, file, bytes), (int) bytes));
    plan.locate(file, memory);
    return plan;
  }

  private static long mapped(Kernel kernel, Path file, long bytes) throws KernelCallException {
    try (Fd descriptor = kernel.open(file.toString(), Linux.O_RDWR)) {
      return kernel.mapShared(descriptor, 0, bytes, Linux.PROT_READ | Linux.PROT_WRITE);
    }
  }

  private void locate(Path file, GuestMemory memory) throws IOException {
    for (int i = 0; i < count(); i++) {
      long page = page(i);
      if (page < 0 || page >= memory.layout().pageCount()) {
        throw new IOException(
            "touch plan %s: line %d names page %d; the guest has pages 0 to %d"
                .formatted(file, i, page, memory.layout().pageCount() - 1));
      }
      touches.putLong(i * SIZE_BYTES + ADDRESS, memory.hostAddressOf(page));
    }
  }

  int count() {
    return touches.sizeBytes() / SIZE_BYTES;
  }

  long page(int index) {
    return touches.getLong(index * SIZE_BYTES + PAGE);
  }

  boolean isLost(int index) {
    return touches.getLong(index * SIZE_BYTES + LOST) != 0;
  }

  /** Touches pages of the plan, on the calling thread, which waits for each. */
  void touch(int from, int count) throws KernelCallException {
    int result = kernel.touch(touches.address() + (long) from * SIZE_BYTES, count);
    if (result < 0) {
      throw new KernelCallException(
          "touch", "lines %d+%d of the plan".formatted(from, count), -result);
    }
  }
}
