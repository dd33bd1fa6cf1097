package ward.vcpu;

import ward.kernel.NativeMemory;

/**
 * One model specific register, as {@code KVM_GET_MSRS} takes it.
 *
 * <pre>{@code
 * struct kvm_msrs {
 *     __u32 nmsrs;
 *     __u32 pad;
 *     struct kvm_msr_entry entries[];  // __u32 index; __u32 reserved; __u64 data
 * };
 * }</pre>
 */
final class KvmMsr {

  /** IA32_MCG_STATUS, Intel SDM volume 3, section 16.3.1.2. */
  static final int MCG_STATUS = 0x17a;

  /** IA32_MCG_STATUS.MCIP: a machine check is in progress; another one shuts the processor down. */
  static final long MCG_STATUS_MCIP = 1L << 2;

  static final int HEADER_BYTES = 8;
  static final int ENTRY_BYTES = 16;
  static final int ENTRY_INDEX = 0;
  static final int ENTRY_DATA = 8;

  private final NativeMemory memory = NativeMemory.allocate(HEADER_BYTES + ENTRY_BYTES);

  KvmMsr(int index) {
    memory.putInt(0, 1);
    memory.putInt(HEADER_BYTES + ENTRY_INDEX, index);
  }

  NativeMemory memory() {
    return memory;
  }

  long data() {
    return memory.getLong(HEADER_BYTES + ENTRY_DATA);
  }
}
