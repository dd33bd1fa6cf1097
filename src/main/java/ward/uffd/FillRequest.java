package ward.uffd;

import ward.kernel.Ioctl;
import ward.kernel.NativeMemory;

/**
 * The ioctls that fill a range, {@code <linux/userfaultfd.h>}.
 *
 * <pre>{@code
 * struct uffdio_copy {
 *     __u64 dst;   // page-aligned address in the registered range
 *     __u64 src;   // address to copy from
 *     __u64 len;   // bytes; a multiple of the page size
 *     __u64 mode;  // 0: wake whoever waits
 *     __s64 copy;  // out: bytes copied, or -errno. SIGNED.
 * };
 *
 * struct uffdio_move {              // as uffdio_copy
 *     __u64 dst, src, len, mode; __s64 move;
 * };
 *
 * struct uffdio_zeropage {           // and uffdio_poison, uffdio_continue
 *     struct uffdio_range range;     // start, len
 *     __u64 mode;                    // 0: wake whoever waits
 *     __s64 zeropage;                // and updated, mapped. out: as copy. SIGNED.
 * };
 * }</pre>
 */
enum FillRequest {
  COPY("UFFDIO_COPY", 0x03, 40),
  ZEROPAGE("UFFDIO_ZEROPAGE", 0x04, 32),
  MOVE("UFFDIO_MOVE", 0x05, 40),
  CONTINUE("UFFDIO_CONTINUE", 0x07, 32),
  POISON("UFFDIO_POISON", 0x08, 32);

  static final int START = 0;
  static final int SOURCE = 8;

  /** The largest of the structs. */
  static final int MAX_BYTES = 40;

  private final Ioctl ioctl;
  private final int sizeBytes;

  FillRequest(String name, int sequence, int sizeBytes) {
    this.ioctl = Ioctl.readWrite(name, Userfaultfd.IOCTL_TYPE, sequence, sizeBytes);
    this.sizeBytes = sizeBytes;
  }

  Ioctl ioctl() {
    return ioctl;
  }

  int sizeBytes() {
    return sizeBytes;
  }

  int lengthOffset() {
    return sizeBytes - 24;
  }

  int modeOffset() {
    return sizeBytes - 16;
  }

  int doneOffset() {
    return sizeBytes - 8;
  }

  /** The bit of {@code uffdio_register.ioctls} that says the kernel takes it for a range. */
  long bit() {
    return 1L << (ioctl.number() & 0xff);
  }

  /**
   * Writes everything but the source of a copy or a move; the block may hold an earlier request.
   */
  void write(NativeMemory argument, long hostAddress, long lengthBytes) {
    argument.putLong(START, hostAddress);
    argument.putLong(lengthOffset(), lengthBytes);
    argument.putLong(modeOffset(), 0);
    // The kernel leaves this field alone when it refuses the request early.
    argument.putLong(doneOffset(), 0);
  }
}
