package ward.uffd;

import java.util.Objects;
import ward.kernel.NativeMemory;
import ward.memory.Pages;

/**
 * Events of a userfaultfd, many from one read(2); reused from read to read by one thread.
 *
 * <pre>{@code
 * struct uffd_msg {           // 32 bytes, packed
 *     __u8 event;             // and 7 bytes reserved
 *     union {                 // at 8
 *         struct { __u64 flags; __u64 address; __u32 ptid; } pagefault;
 *         struct { __u64 start; __u64 end; } remove;  // and unmap
 *         struct { __u64 from; __u64 to; __u64 len; } remap;
 *     } arg;
 * };
 * }</pre>
 *
 * @see <a href="https://man7.org/linux/man-pages/man2/userfaultfd.2.html">userfaultfd(2), "Reading
 *     from the userfaultfd structure"</a>
 */
public final class EventBatch {

  static final int MESSAGE_BYTES = 32;
  static final int TYPE = 0;
  static final int FAULT_FLAGS = 8;
  static final int FAULT_ADDRESS = 16;
  static final int FAULT_THREAD = 24;
  static final int RANGE_START = 8;
  static final int RANGE_END = 16;

  static final int FLAG_WRITE = 1;

  /** What happened to registered memory. */
  public enum Event {
    /** A thread touched a missing page and waits. */
    PAGEFAULT(0x12),
    /** The process forked; never enabled here. */
    FORK(0x13),
    /** A mapping moved; never enabled here. */
    REMAP(0x14),
    /** Pages were given back: they are missing again, and their poison markers are gone. */
    REMOVE(0x15),
    /** A mapping ended. */
    UNMAP(0x16),
    /** Newer than this program. */
    UNKNOWN(0);

    private static final Event[] ALL = values();

    private final int number;

    Event(int number) {
      this.number = number;
    }

    /** {@code UFFD_EVENT_*}. */
    int number() {
      return number;
    }

    static Event of(int number) {
      for (Event event : ALL) {
        if (event.number == number) {
          return event;
        }
      }
      return UNKNOWN;
    }
  }

  private final NativeMemory messages;
  private int size;

  /**
   * @param capacity the most events that one read takes, at least 1
   */
  public EventBatch(int capacity) {
    if (capacity < 1) {
      throw new IllegalArgumentException(
          "a batch of %d events; at least 1 is needed".formatted(capacity));
    }
    this.messages = NativeMemory.allocate(Math.multiplyExact(capacity, MESSAGE_BYTES));
  }

  NativeMemory memory() {
    return messages;
  }

  /** Takes note of how much the kernel wrote; the number of events. */
  int fill(long bytes) {
    size = (int) (bytes / MESSAGE_BYTES);
    return size;
  }

  /** The number of events of the last read. */
  public int size() {
    return size;
  }

  public Event type(int i) {
    return Event.of(messages.getByte(at(i) + TYPE));
  }

  /**
   * The host-virtual address of the page of a PAGEFAULT, or of the first byte of the range of a
   * REMOVE or UNMAP, or of where a REMAP came from.
   *
   * @throws IllegalStateException for an event that carries no address
   */
  public long address(int i) {
    return switch (type(i)) {
      case PAGEFAULT -> Pages.align(messages.getLong(at(i) + FAULT_ADDRESS));
      case REMOVE, UNMAP, REMAP -> messages.getLong(at(i) + RANGE_START);
      case FORK, UNKNOWN -> throw lacks(i, "address");
    };
  }

  /**
   * The host-virtual address after the last byte of the range of a REMOVE or UNMAP.
   *
   * @throws IllegalStateException for another event
   */
  public long endAddress(int i) {
    return switch (type(i)) {
      case REMOVE, UNMAP -> messages.getLong(at(i) + RANGE_END);
      case PAGEFAULT, REMAP, FORK, UNKNOWN -> throw lacks(i, "end address");
    };
  }

  /**
   * The thread that waits after a PAGEFAULT, as gettid(2) names it.
   *
   * @throws IllegalStateException for another event
   */
  public int threadId(int i) {
    requireFault(i, "thread");
    return messages.getInt(at(i) + FAULT_THREAD);
  }

  /**
   * Whether a PAGEFAULT was raised by a store.
   *
   * @throws IllegalStateException for another event
   */
  public boolean isWrite(int i) {
    requireFault(i, "access");
    return (messages.getLong(at(i) + FAULT_FLAGS) & FLAG_WRITE) != 0;
  }

  private void requireFault(int i, String what) {
    if (type(i) != Event.PAGEFAULT) {
      throw lacks(i, what);
    }
  }

  private IllegalStateException lacks(int i, String what) {
    return new IllegalStateException(
        "event %d is %s (0x%x), which carries no %s"
            .formatted(i, type(i), messages.getByte(at(i) + TYPE), what));
  }

  private int at(int i) {
    return Objects.checkIndex(i, size) * MESSAGE_BYTES;
  }
}
