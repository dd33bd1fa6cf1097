package ward.vcpu;

import ward.kernel.NativeMemory;

/**
 * The argument of {@code KVM_IRQ_LINE}.
 *
 * <pre>{@code
 * struct kvm_irq_level {
 *     __u32 irq;    // x86: the GSI; arm64: type, vCPU and number of the interrupt in one word
 *     __u32 level;  // 1 asserted, 0 not
 * };
 * }</pre>
 */
final class KvmIrqLevel {

  static final int SIZE_BYTES = 8;
  static final int IRQ = 0;
  static final int LEVEL = 4;

  private final NativeMemory memory = NativeMemory.allocate(SIZE_BYTES);

  KvmIrqLevel(int irq, boolean asserted) {
    memory.putInt(IRQ, irq);
    memory.putInt(LEVEL, asserted ? 1 : 0);
  }

  NativeMemory memory() {
    return memory;
  }
}
