package ward.vcpu;

import ward.kernel.NativeMemory;

/**
 * The argument of {@code KVM_SET_SIGNAL_MASK}: what stays blocked inside KVM_RUN. Always empty
 * here, so that a signal which is blocked in the vCPU's thread ends KVM_RUN and then waits to be
 * taken.
 *
 * <pre>{@code
 * struct kvm_signal_mask {
 *     __u32 len;        // of the kernel's sigset_t: 8
 *     __u8  sigset[];
 * };
 * }</pre>
 */
final class KvmSignalMask {

  static final int HEADER_BYTES = 4;
  private static final int SIGSET_BYTES = 8;

  private final NativeMemory memory = NativeMemory.allocate(HEADER_BYTES + SIGSET_BYTES);

  KvmSignalMask() {
    memory.putInt(0, SIGSET_BYTES);
  }

  NativeMemory memory() {
    return memory;
  }
}
