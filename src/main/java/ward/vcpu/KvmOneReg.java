package ward.vcpu;

import java.lang.ref.Reference;
import ward.kernel.Ioctl;
import ward.kernel.KernelCallException;
import ward.kernel.NativeMemory;

/**
 * One register of a vCPU: its number, which says its size too, and what it holds.
 *
 * <pre>{@code
 * struct kvm_one_reg {
 *     __u64 id;    // bits 63:56 architecture, 55:52 log2 of the size in bytes
 *     __u64 addr;  // of the value
 * };
 * }</pre>
 */
final class KvmOneReg {

  static final int SIZE_BYTES = 16;
  static final int ADDR = 8;

  private static final int SIZE_SHIFT = 52;
  private static final int SIZE_MASK = 0xf;

  /** KVM_REG_SIZE_U2048: nothing larger is defined. */
  private static final int SIZE_LOG_MAX = 8;

  private KvmOneReg() {}

  static boolean hasKnownSize(long id) {
    return (id >>> SIZE_SHIFT & SIZE_MASK) <= SIZE_LOG_MAX;
  }

  static int sizeBytes(long id) {
    return 1 << (int) (id >>> SIZE_SHIFT & SIZE_MASK);
  }

  static byte[] get(KvmVcpu vcpu, long id) throws KernelCallException {
    NativeMemory value = NativeMemory.allocate(sizeBytes(id));
    call(vcpu, Arm64Request.GET_ONE_REG, id, value);
    return value.getBytes(0, value.sizeBytes());
  }

  static void set(KvmVcpu vcpu, long id, byte[] content) throws KernelCallException {
    NativeMemory value = NativeMemory.allocate(sizeBytes(id));
    value.putBytes(0, content);
    call(vcpu, Arm64Request.SET_ONE_REG, id, value);
  }

  /**
   * @param id of a register of 64 bits
   */
  static long getLong(KvmVcpu vcpu, long id) throws KernelCallException {
    NativeMemory value = NativeMemory.allocate(Long.BYTES);
    call(vcpu, Arm64Request.GET_ONE_REG, id, value);
    return value.getLong(0);
  }

  /**
   * @param id of a register of 64 bits
   */
  static void setLong(KvmVcpu vcpu, long id, long content) throws KernelCallException {
    NativeMemory value = NativeMemory.allocate(Long.BYTES);
    value.putLong(0, content);
    call(vcpu, Arm64Request.SET_ONE_REG, id, value);
  }

  private static void call(KvmVcpu vcpu, Ioctl request, long id, NativeMemory value)
      throws KernelCallException {
    NativeMemory argument = NativeMemory.allocate(SIZE_BYTES);
    argument.putLong(0, id);
    argument.putLong(ADDR, value.address());
    try {
      vcpu.call(request, argument);
    } finally {
      Reference.reachabilityFence(value);
    }
  }
}
