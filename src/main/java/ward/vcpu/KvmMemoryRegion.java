package ward.vcpu;

import ward.kernel.NativeMemory;

/**
 * The argument of {@code KVM_SET_USER_MEMORY_REGION}: a stretch of guest RAM and where it is
 * mapped.
 *
 * <pre>{@code
 * struct kvm_userspace_memory_region {
 *     __u32 slot;
 *     __u32 flags;
 *     __u64 guest_phys_addr;
 *     __u64 memory_size;     // bytes
 *     __u64 userspace_addr;  // host-virtual
 * };
 * }</pre>
 */
final class KvmMemoryRegion {

  static final int SIZE_BYTES = 32;
  static final int SLOT = 0;
  static final int GUEST_PHYS_ADDR = 8;
  static final int MEMORY_SIZE = 16;
  static final int USERSPACE_ADDR = 24;

  private final NativeMemory memory = NativeMemory.allocate(SIZE_BYTES);

  KvmMemoryRegion(int slot, long guestPhysicalAddress, long lengthBytes, long hostAddress) {
    memory.putInt(SLOT, slot);
    memory.putLong(GUEST_PHYS_ADDR, guestPhysicalAddress);
    memory.putLong(MEMORY_SIZE, lengthBytes);
    memory.putLong(USERSPACE_ADDR, hostAddress);
  }

  NativeMemory memory() {
    return memory;
  }
}
