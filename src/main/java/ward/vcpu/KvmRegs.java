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

  /** Its name in a {@link VcpuState}. */
  public static final String SECTION = "kvm_regs";

  /** {@code sizeof(struct kvm_regs)}. */
  public static final int SIZE_BYTES = 144;

  static final int RSI = 32;
  static final int RDI = 40;
  static final int RSP = 48;
  static final int RIP = 128;
  static final int RFLAGS = 136;

  private static final int[] OFFSETS = {
    0, 16, 24, 8, RSP, 56, RSI, RDI, 64, 72, 80, 88, 96, 104, 112, 120
  };

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

  /**
   * A general register by the number that instructions encode it with: 0 is RAX, 1 RCX, 2 RDX, 3
   * RBX, 4 RSP, 5 RBP, 6 RSI, 7 RDI, and 8 to 15 are R8 to R15.
   */
  long general(int number) {
    return memory.getLong(OFFSETS[number]);
  }

  void general(int number, long value) {
    memory.putLong(OFFSETS[number], value);
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

  long rflags() {
    return memory.getLong(RFLAGS);
  }

  public void rflags(long value) {
    memory.putLong(RFLAGS, value);
  }
}
