package ward.vcpu;

import ward.kernel.NativeMemory;

/**
 * The general registers of a vCPU, the argument of {@code KVM_GET_REGS} and {@code KVM_SET_REGS}.
 *
 * <pre>{@code
 * struct kvm_regs {
 *     __u64 rax, rbx, rcx, rdx;
 *     __u64 rsi, rdi, rsp, rbp;
 *     __u64 r8,  r9,  r10, r11;
 *     __u64 r12, r13, r14, r15;
 *     __u64 rip, rflags;
 * };
 * }</pre>
 */
public final class KvmRegs {

  /** {@code sizeof(struct kvm_regs)}. */
  /** Its name in a {@link VcpuState}. */
  public static final String SECTION = "kvm_regs";

  public static final int SIZE_BYTES = 144;

  static final int RSI = 32;
  static final int RDI = 40;
  static final int RSP = 48;
  static final int RIP = 128;
  static final int RFLAGS = 136;

  private final NativeMemory memory = NativeMemory.allocate(SIZE_BYTES);

  /** All zeros. */
  public KvmRegs() {}

  /**
   * @param bytes the struct, {@link #SIZE_BYTES} long
   */
  public KvmRegs(byte[] bytes) {
    memory.putBytes(0, bytes);
  }

  NativeMemory memory() {
    return memory;
  }

  /** The struct. */
  public byte[] toBytes() {
    return memory.getBytes(0, SIZE_BYTES);
  }

  public long rip() {
    return memory.getLong(RIP);
  }

  public void rip(long value) {
    memory.putLong(RIP, value);
  }

  public void rsp(long value) {
    memory.putLong(RSP, value);
  }

  public void rsi(long value) {
    memory.putLong(RSI, value);
  }

  public void rdi(long value) {
    memory.putLong(RDI, value);
  }

  public void rflags(long value) {
    memory.putLong(RFLAGS, value);
  }
}
