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

  /** IA32_FEATURE_CONTROL, Intel SDM volume 4: what a machine's firmware switches on. */
  static final int FEATURE_CONTROL = 0x3a;

  /** Firmware is done with it, and guests may enable local machine checks. */
  static final long FEATURE_CONTROL_LOCKED_WITH_LOCAL_CHECKS = 1 | 1 << 20;

  /** IA32_MCG_STATUS, Intel SDM volume 3, section 16.3.1.2. */
  static final int MCG_STATUS = 0x17a;

  /** IA32_MCG_STATUS.MCIP: a machine check is in progress; another one shuts the processor down. */
  static final long MCG_STATUS_MCIP = 1L << 2;

  /** IA32_MCG_CTL: all ones, or uncorrected errors are not reported. */
  static final int MCG_CTL = 0x17b;

  /** IA32_MCG_EXT_CTL. */
  static final int MCG_EXT_CTL = 0x4d0;

  /** IA32_MCG_EXT_CTL.LMCE_EN: the guest wants machine checks only where they belong. */
  static final long MCG_EXT_CTL_LOCAL = 1;

  private static final int MC0_CTL = 0x400;
  private static final int BANK_REGISTERS = 4;

  static final int HEADER_BYTES = 8;
  static final int ENTRY_BYTES = 16;
  static final int ENTRY_INDEX = 0;
  static final int ENTRY_DATA = 8;

  private final NativeMemory memory = NativeMemory.allocate(HEADER_BYTES + ENTRY_BYTES);

  KvmMsr(int index) {
    memory.putInt(0, 1);
    memory.putInt(HEADER_BYTES + ENTRY_INDEX, index);
  }

  /** IA32_MCi_CTL: all ones, or the bank reports no uncorrected error. */
  static int bankControl(int bank) {
    return MC0_CTL + BANK_REGISTERS * bank;
  }

  /** IA32_MCi_STATUS; IA32_MCi_ADDR and IA32_MCi_MISC follow. */
  static int bankStatus(int bank) {
    return bankControl(bank) + 1;
  }

  NativeMemory memory() {
    return memory;
  }

  long data() {
    return memory.getLong(HEADER_BYTES + ENTRY_DATA);
  }

  void data(long value) {
    memory.putLong(HEADER_BYTES + ENTRY_DATA, value);
  }
}
