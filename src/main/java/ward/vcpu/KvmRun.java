package ward.vcpu;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Optional;
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
 *         struct { __u32 type, ndata; __u64 data[16]; } system_event;
 *         struct { __u64 esr_iss, fault_ipa; } arm_nisv;
 *         struct { __u64 flags, gpa, size; } memory_fault;      // Linux 6.8
 *         struct { __u64 flags, esr, gva, gpa; } arm_sea;       // Linux 6.19
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
  static final int EXIT_SYSTEM_EVENT = 24;
  static final int EXIT_ARM_NISV = 28;
  static final int EXIT_MEMORY_FAULT = 39;
  static final int EXIT_ARM_SEA = 41;

  /** {@code KVM_INTERNAL_ERROR_EMULATION}. */
  static final int EMULATION_FAILURE = 1;

  static final int SYSTEM_EVENT_SHUTDOWN = 1;
  static final int SYSTEM_EVENT_RESET = 2;
  static final int SYSTEM_EVENT_CRASH = 3;

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
  static final int SYSTEM_EVENT_TYPE = 32;
  static final int ARM_NISV_SYNDROME = 32;
  static final int ARM_NISV_IPA = 40;
  static final int MEMORY_FAULT_FLAGS = 32;
  static final int MEMORY_FAULT_GPA = 40;
  static final int MEMORY_FAULT_SIZE = 48;
  static final int ARM_SEA_FLAGS = 32;
  static final int ARM_SEA_ESR = 40;
  static final int ARM_SEA_GVA = 48;
  static final int ARM_SEA_GPA = 56;

  private static final int EXIT_UNKNOWN = 0;

  private static final byte ALL_ONES = (byte) 0xff;

  private final NativeMemory memory;

  KvmRun(NativeMemory memory) {
    this.memory = memory;
  }

  void immediateExit(boolean wanted) {
    memory.putByte(IMMEDIATE_EXIT, (byte) (wanted ? 1 : 0));
  }

  /**
   * Forgets the last exit, so that its reason cannot be taken for that of a KVM_RUN which fails:
   * KVM promises to write one only where it returns 0 or says KVM_EXIT_MEMORY_FAULT. One reason
   * stays: arm64 KVM reads KVM_EXIT_MMIO back to finish the load.
   */
  void forgetExit() {
    if (exitReason() != EXIT_MMIO) {
      memory.putInt(EXIT_REASON, EXIT_UNKNOWN);
    }
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

  MemoryEvent.Mmio mmio() {
    return new MemoryEvent.Mmio(mmioAddress(), mmioIsWrite());
  }

  /**
   * Where KVM could not reach memory. Only of use after a KVM_RUN that failed: KVM writes this
   * union, and the reason, where it answers {@code -EFAULT} or {@code -EHWPOISON} (api.rst of the
   * kernel, KVM_EXIT_MEMORY_FAULT).
   */
  Optional<MemoryEvent.MemoryFault> memoryFault() {
    return exitReason() == EXIT_MEMORY_FAULT
        ? Optional.of(
            new MemoryEvent.MemoryFault(
                memory.getLong(MEMORY_FAULT_FLAGS),
                memory.getLong(MEMORY_FAULT_GPA),
                memory.getLong(MEMORY_FAULT_SIZE)))
        : Optional.empty();
  }

  /** What KVM_EXIT_ARM_SEA says. */
  MemoryEvent.ArmSea armSea() {
    return new MemoryEvent.ArmSea(
        memory.getLong(ARM_SEA_FLAGS),
        memory.getLong(ARM_SEA_ESR),
        memory.getLong(ARM_SEA_GVA),
        memory.getLong(ARM_SEA_GPA));
  }

  /** What KVM_EXIT_ARM_NISV says. */
  MemoryEvent.ArmNisv armNisv() {
    return new MemoryEvent.ArmNisv(memory.getLong(ARM_NISV_SYNDROME), memory.getLong(ARM_NISV_IPA));
  }

  /** {@code type} of KVM_EXIT_SYSTEM_EVENT. */
  int systemEventType() {
    return memory.getInt(SYSTEM_EVENT_TYPE);
  }

  /** 1 to 8. */
  int mmioSizeBytes() {
    return memory.getInt(MMIO_LEN);
  }

  int mmioByte(int i) {
    return Byte.toUnsignedInt(memory.getByte(MMIO_DATA + i));
  }

  /** The value of a write of 32 bits. */
  int mmioWord() {
    return memory.getInt(MMIO_DATA);
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

  /** Answers a read with what begins at an offset of this content, and with ones behind it. */
  void answerMmio(byte[] content, int offset) {
    answerMmioWithOnes();
    for (int i = 0; i < Long.BYTES && offset + i < content.length; i++) {
      answerMmioByte(i, content[offset + i]);
    }
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
