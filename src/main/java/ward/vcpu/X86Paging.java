package ward.vcpu;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Optional;

/**
 * Walks a guest's page tables as the processor does, in whichever mode it is in.
 *
 * <p>Asks for presence only: an access that the tables forbid raises a page fault in the guest
 * before it reaches memory, and never gets here.
 *
 * @see <a href="https://www.intel.com/sdm">Intel SDM, volume 3, chapter 4, "Paging"</a>
 */
final class X86Paging {

  private static final long CR0_PAGING = 1L << 31;
  private static final long CR4_LARGE_PAGES = 1L << 4;
  private static final long CR4_PHYSICAL_EXTENSION = 1L << 5;
  private static final long CR4_FIVE_LEVELS = 1L << 12;
  private static final long EFER_LONG_MODE_ACTIVE = 1L << 10;

  private static final long ENTRY_PRESENT = 1;
  private static final long ENTRY_IS_LEAF = 1L << 7;
  private static final long ENTRY_ADDRESS = 0x000f_ffff_ffff_f000L;

  private static final int PAGE_SHIFT = 12;
  private static final int LARGEST_LEAF_SHIFT = 30;
  private static final int LONG_INDEX_BITS = 9;
  private static final int OLD_INDEX_BITS = 10;
  private static final int OLD_LEAF_SHIFT = 22;
  private static final int PHYSICAL_EXTENSION_ROOT_ALIGNMENT = 32;

  private final KvmSregs registers;
  private final GuestBytes memory;

  X86Paging(KvmSregs registers, GuestBytes memory) {
    this.registers = registers;
    this.memory = memory;
  }

  /** Where a linear address leads. */
  X86Translation translate(long linear) {
    if ((registers.cr0() & CR0_PAGING) == 0) {
      return X86Translation.mapped(linear);
    }
    if ((registers.efer() & EFER_LONG_MODE_ACTIVE) != 0) {
      return inLongMode(linear);
    }
    return (registers.cr4() & CR4_PHYSICAL_EXTENSION) != 0
        ? withPhysicalExtension(Integer.toUnsignedLong((int) linear))
        : withOldTables(Integer.toUnsignedLong((int) linear));
  }

  private X86Translation inLongMode(long linear) {
    int levels = (registers.cr4() & CR4_FIVE_LEVELS) != 0 ? 5 : 4;
    int unused = Long.SIZE - PAGE_SHIFT - levels * LONG_INDEX_BITS;
    if (linear << unused >> unused != linear) {
      return X86Translation.NOT_MAPPED; // not canonical
    }
    int shift = PAGE_SHIFT + (levels - 1) * LONG_INDEX_BITS;
    return descend(registers.cr3() & ENTRY_ADDRESS, shift, linear);
  }

  private X86Translation withPhysicalExtension(long linear) {
    long root = Integer.toUnsignedLong((int) registers.cr3()) & -PHYSICAL_EXTENSION_ROOT_ALIGNMENT;
    return descend(root, LARGEST_LEAF_SHIFT, linear);
  }

  private X86Translation descend(long table, int shift, long linear) {
    long index = linear >>> shift & (1L << LONG_INDEX_BITS) - 1;
    long at = table + index * Long.BYTES;
    Optional<byte[]> bytes = memory.read(at, Long.BYTES);
    if (bytes.isEmpty()) {
      return X86Translation.unreadable(at);
    }
    long entry = ByteBuffer.wrap(bytes.get()).order(ByteOrder.LITTLE_ENDIAN).getLong();
    if ((entry & ENTRY_PRESENT) == 0) {
      return X86Translation.NOT_MAPPED;
    }
    boolean isLeaf =
        shift == PAGE_SHIFT || shift <= LARGEST_LEAF_SHIFT && (entry & ENTRY_IS_LEAF) != 0;
    return isLeaf
        ? leaf(entry & ENTRY_ADDRESS, shift, linear)
        : descend(entry & ENTRY_ADDRESS, shift - LONG_INDEX_BITS, linear);
  }

  private static X86Translation leaf(long address, int shift, long linear) {
    long offset = (1L << shift) - 1;
    return X86Translation.mapped(address & ~offset | linear & offset);
  }

  private X86Translation withOldTables(long linear) {
    long root = Integer.toUnsignedLong((int) registers.cr3()) & ENTRY_ADDRESS;
    return descendOld(root, OLD_LEAF_SHIFT, linear);
  }

  private X86Translation descendOld(long table, int shift, long linear) {
    long index = linear >>> shift & (1L << OLD_INDEX_BITS) - 1;
    long at = table + index * Integer.BYTES;
    Optional<byte[]> bytes = memory.read(at, Integer.BYTES);
    if (bytes.isEmpty()) {
      return X86Translation.unreadable(at);
    }
    long entry =
        Integer.toUnsignedLong(
            ByteBuffer.wrap(bytes.get()).order(ByteOrder.LITTLE_ENDIAN).getInt());
    if ((entry & ENTRY_PRESENT) == 0) {
      return X86Translation.NOT_MAPPED;
    }
    if (shift == PAGE_SHIFT) {
      return leaf(entry & ENTRY_ADDRESS, shift, linear);
    }
    boolean isLarge = (entry & ENTRY_IS_LEAF) != 0 && (registers.cr4() & CR4_LARGE_PAGES) != 0;
    return isLarge
        ? leaf(largeAddress(entry), shift, linear)
        : descendOld(entry & ENTRY_ADDRESS, PAGE_SHIFT, linear);
  }

  /** Bits 13 to 20 of a 4 MiB entry are bits 32 to 39 of the address (PSE-36). */
  private static long largeAddress(long entry) {
    return entry & 0xffc0_0000L | (entry >>> 13 & 0xff) << 32;
  }
}
