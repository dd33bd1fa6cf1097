package ward.vcpu;

import ward.kernel.NativeMemory;

/**
 * The special registers of a vCPU, the argument of {@code KVM_GET_SREGS} and {@code KVM_SET_SREGS}.
 *
 * <pre>{@code
 * struct kvm_sregs {
 *     struct kvm_segment cs, ds, es, fs, gs, ss;
 *     struct kvm_segment tr, ldt;
 *     struct kvm_dtable gdt, idt;         // __u64 base; __u16 limit; __u16 padding[3]
 *     __u64 cr0, cr2, cr3, cr4, cr8;
 *     __u64 efer;
 *     __u64 apic_base;
 *     __u64 interrupt_bitmap[(KVM_NR_INTERRUPTS + 63) / 64];
 * };
 * }</pre>
 */
public final class KvmSregs {

  /** Its name in a {@link VcpuState}. */
  public static final String SECTION = "kvm_sregs";

  /** {@code sizeof(struct kvm_sregs)}. */
  public static final int SIZE_BYTES = 312;

  /** CR4.MCE: machine checks are delivered; without it one shuts the guest down. */
  public static final long CR4_MCE = 1L << 6;

  static final int DTABLE_LIMIT = 8;
  static final int GDT = 192;
  static final int IDT = 208;
  static final int CR0 = 224;
  static final int CR3 = 240;
  static final int CR4 = 248;
  static final int EFER = 264;
  static final int APIC_BASE = 272;

  /** The segment registers, in the order of the struct. */
  public enum Register {
    CS,
    DS,
    ES,
    FS,
    GS,
    SS,
    TR,
    LDT;

    int offset() {
      return ordinal() * KvmSegment.SIZE_BYTES;
    }
  }

  private final NativeMemory memory = NativeMemory.allocate(SIZE_BYTES);

  /** All zeros. */
  public KvmSregs() {}

  /**
   * @param bytes the struct, {@link #SIZE_BYTES} long
   */
  public KvmSregs(byte[] bytes) {
    memory.putBytes(0, bytes);
  }

  NativeMemory memory() {
    return memory;
  }

  /** The struct. */
  public byte[] toBytes() {
    return memory.getBytes(0, SIZE_BYTES);
  }

  public void segment(Register register, KvmSegment segment) {
    segment.writeTo(memory, register.offset());
  }

  long base(Register register) {
    return memory.getLong(register.offset());
  }

  boolean has(Register register, KvmSegment.Flag flag) {
    return memory.getByte(register.offset() + flag.offset) != 0;
  }

  long idtBase() {
    return memory.getLong(IDT);
  }

  /** The offset of the table's last byte. */
  int idtLimit() {
    return Short.toUnsignedInt(memory.getShort(IDT + DTABLE_LIMIT));
  }

  long gdtBase() {
    return memory.getLong(GDT);
  }

  /** The offset of the table's last byte. */
  int gdtLimit() {
    return Short.toUnsignedInt(memory.getShort(GDT + DTABLE_LIMIT));
  }

  /**
   * @param limit the offset of the table's last byte
   */
  public void gdt(long base, int limit) {
    table(GDT, base, limit);
  }

  /**
   * @param limit the offset of the table's last byte
   */
  public void idt(long base, int limit) {
    table(IDT, base, limit);
  }

  private void table(int offset, long base, int limit) {
    memory.putLong(offset, base);
    memory.putShort(offset + DTABLE_LIMIT, (short) limit);
  }

  long cr0() {
    return memory.getLong(CR0);
  }

  long cr3() {
    return memory.getLong(CR3);
  }

  long efer() {
    return memory.getLong(EFER);
  }

  public void cr0(long value) {
    memory.putLong(CR0, value);
  }

  public void cr3(long value) {
    memory.putLong(CR3, value);
  }

  public long cr4() {
    return memory.getLong(CR4);
  }

  public void cr4(long value) {
    memory.putLong(CR4, value);
  }

  public void efer(long value) {
    memory.putLong(EFER, value);
  }

  public void apicBase(long value) {
    memory.putLong(APIC_BASE, value);
  }
}
