package ward.vcpu;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import ward.kernel.NativeMemory;

/**
 * The page that KVM and a vCPU's thread share: why KVM_RUN returned.
 *
 * <pre>{@code
 * struct kvm_run {
 *     __u8 request_interrupt_window;
 *     __u8 immediate_exit;                       // in: finish pending I/O, then return EINTR
 *     __u8 padding1[6];
 *     __u32 exit_reason;
 *     ...
 *     union {                                    // at 32
 *         struct { __u64 hardware_entry_failure_reason; __u32 cpu; } fail_entry;
 *         struct { __u8 direction, size; __u16 port; __u32 count; __u64 data_offset; } io;
 *         struct { __u64 phys_addr; __u8 data[8]; __u32 len; __u8 is_write; } mmio;
 *         struct { __u32 suberror, ndata; __u64 data[16]; } internal;
 *     };
 * };
 * }</pre>
 */
final class KvmRun {

  static final int EXIT_IO = 2;
  static final int EXIT_MMIO = 6;
  static final int EXIT_SHUTDOWN = 8;
  static final int EXIT_FAIL_ENTRY = 9;
  static final int EXIT_INTERNAL_ERROR = 17;

  static final int IMMEDIATE_EXIT = 1;
  static final int EXIT_REASON = 8;
  static final int UNION = 32;
  static final int IO_DIRECTION = 32;
  static final int IO_SIZE = 33;
  static final int IO_PORT = 34;
  static final int IO_COUNT = 36;
  static final int IO_DATA_OFFSET = 40;
  static final int MMIO_PHYS_ADDR = 32;
  static final int MMIO_DATA = 40;
  static final int MMIO_LEN = 48;
  static final int MMIO_IS_WRITE = 52;

  private static final byte ALL_ONES = (byte) 0xff;

  private final NativeMemory memory;

  KvmRun(NativeMemory memory) {
    this.memory = memory;
  }

  void immediateExit(boolean wanted) {
    memory.putByte(IMMEDIATE_EXIT, (byte) (wanted ? 1 : 0));
  }

  int exitReason() {
    return memory.getInt(EXIT_REASON);
  }

  /** Whether the port is written ({@code KVM_EXIT_IO_OUT} is 1). */
  boolean isOut() {
    return memory.getByte(IO_DIRECTION) == 1;
  }

  int ioSizeBytes() {
    return memory.getByte(IO_SIZE);
  }

  int ioPort() {
    return Short.toUnsignedInt(memory.getShort(IO_PORT));
  }

  /** Accesses in this exit: more than one after a string instruction. */
  int ioCount() {
    return memory.getInt(IO_COUNT);
  }

  private int ioDataOffset(int access) {
    return (int) memory.getLong(IO_DATA_OFFSET) + access * ioSizeBytes();
  }

  /** The value of one access, zero-extended. */
  int ioValue(int access) {
    byte[] value = new byte[Integer.BYTES];
    byte[] written = memory.getBytes(ioDataOffset(access), ioSizeBytes());
    System.arraycopy(written, 0, value, 0, written.length);
    return ByteBuffer.wrap(value).order(ByteOrder.LITTLE_ENDIAN).getInt();
  }

  /**
   * One byte of what a guest writes to a port.
   *
   * @param i from 0 to the size of the access, lowest first
   */
  int ioByte(int access, int i) {
    return Byte.toUnsignedInt(memory.getByte(ioDataOffset(access) + i));
  }

  void answerIoByte(int access, int i, int value) {
    memory.putByte(ioDataOffset(access) + i, (byte) value);
  }

  /** Answers a read of a port as a bus does where nothing is attached. */
  void answerIoWithOnes() {
    for (int i = 0; i < ioCount() * ioSizeBytes(); i++) {
      memory.putByte(ioDataOffset(0) + i, ALL_ONES);
    }
  }

  long mmioAddress() {
    return memory.getLong(MMIO_PHYS_ADDR);
  }

  /** 1 to 8. */
  int mmioSizeBytes() {
    return memory.getInt(MMIO_LEN);
  }

  int mmioByte(int i) {
    return Byte.toUnsignedInt(memory.getByte(MMIO_DATA + i));
  }

  void answerMmioByte(int i, int value) {
    memory.putByte(MMIO_DATA + i, (byte) value);
  }

  boolean mmioIsWrite() {
    return memory.getByte(MMIO_IS_WRITE) != 0;
  }

  /** Answers a read as a bus does where nothing is attached. */
  void answerMmioWithOnes() {
    memory.putLong(MMIO_DATA, -1);
  }

  /** {@code hardware_entry_failure_reason} of KVM_EXIT_FAIL_ENTRY. */
  long entryFailureReason() {
    return memory.getLong(UNION);
  }

  /** {@code suberror} of KVM_EXIT_INTERNAL_ERROR. */
  int internalSuberror() {
    return memory.getInt(UNION);
  }
}
