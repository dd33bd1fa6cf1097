package ward.vcpu;

import ward.kernel.NativeMemory;

/**
 * The argument of {@code KVM_X86_SET_MCE}.
 *
 * <pre>{@code
 * struct kvm_x86_mce {
 *     __u64 status;      // MCi_STATUS; VAL must be set
 *     __u64 addr;        // MCi_ADDR
 *     __u64 misc;        // MCi_MISC
 *     __u64 mcg_status;  // IA32_MCG_STATUS
 *     __u8 bank;
 *     __u8 pad1[7];
 *     __u64 pad2[3];
 * };
 * }</pre>
 */
final class KvmX86Mce {

  static final int SIZE_BYTES = 64;
  static final int STATUS = 0;
  static final int ADDR = 8;
  static final int MISC = 16;
  static final int MCG_STATUS = 24;
  static final int BANK = 32;

  private final NativeMemory memory = NativeMemory.allocate(SIZE_BYTES);

  KvmX86Mce(MachineCheck check) {
    memory.putLong(STATUS, check.status());
    memory.putLong(ADDR, check.addr());
    memory.putLong(MISC, check.misc());
    memory.putLong(MCG_STATUS, check.mcgStatus());
    memory.putByte(BANK, (byte) check.bank());
  }

  NativeMemory memory() {
    return memory;
  }
}
