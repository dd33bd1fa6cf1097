package ward.vcpu;

import ward.kernel.NativeMemory;

/**
 * A segment register with its hidden part, as in the Intel SDM, volume 3, section 3.4.5.
 *
 * <pre>{@code
 * struct kvm_segment {
 *     __u64 base;
 *     __u32 limit;
 *     __u16 selector;
 *     __u8  type;
 *     __u8  present, dpl, db, s, l, g, avl;
 *     __u8  unusable;
 *     __u8  padding;
 * };
 * }</pre>
 *
 * @param limit in bytes, after scaling by the granularity
 * @param type the four type bits of the descriptor
 * @param privilege DPL, 0 to 3
 * @param flags any of {@link Flag}; a segment here is always present
 */
public record KvmSegment(
    long base, int limit, int selector, int type, int privilege, Flag... flags) {

  static final int SIZE_BYTES = 24;
  static final int LIMIT = 8;
  static final int SELECTOR = 12;
  static final int TYPE = 14;
  static final int PRESENT = 15;
  static final int DPL = 16;

  /** One-byte fields that are 0 or 1. */
  public enum Flag {
    /** D/B: 32-bit operands. */
    DB(17),
    /** S: code or data, not a system segment. */
    S(18),
    /** L: 64-bit code. */
    L(19),
    /** G: the descriptor counts its limit in pages. */
    G(20);

    final int offset;

    Flag(int offset) {
      this.offset = offset;
    }
  }

  void writeTo(NativeMemory memory, int offset) {
    memory.putBytes(offset, new byte[SIZE_BYTES]);
    memory.putLong(offset, base);
    memory.putInt(offset + LIMIT, limit);
    memory.putShort(offset + SELECTOR, (short) selector);
    memory.putByte(offset + TYPE, (byte) type);
    memory.putByte(offset + PRESENT, (byte) 1);
    memory.putByte(offset + DPL, (byte) privilege);
    for (Flag flag : flags) {
      memory.putByte(offset + flag.offset, (byte) 1);
    }
  }
}
