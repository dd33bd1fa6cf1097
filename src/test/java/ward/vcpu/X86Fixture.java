package ward.vcpu;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;
import java.util.HashSet;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import ward.memory.Pages;
import ward.vcpu.KvmSegment.Flag;
import ward.vcpu.KvmSregs.Register;

/** A vCPU's registers and its guest's memory, page by page; what is not written is zeros. */
final class X86Fixture implements GuestBytes {

  static final long CR0_PAGING = 1L << 31;
  static final long CR4_LARGE_PAGES = 1L << 4;
  static final long CR4_PHYSICAL_EXTENSION = 1L << 5;
  static final long CR4_FIVE_LEVELS = 1L << 12;
  static final long EFER_LONG_MODE_ACTIVE = 1L << 10;

  static final long ROOT = 0x1000;
  static final long PRESENT = 1;
  static final long LEAF = 1L << 7;

  /** A large leaf has bits below its address that are none of the address. */
  static final long LOW_BITS_OF_A_LEAF = 0xffL << 5 & ~LEAF;

  final KvmRegs general = new KvmRegs();
  final KvmSregs special = new KvmSregs();
  private final Map<Long, byte[]> pages = new TreeMap<>();
  private final Set<Long> lost = new HashSet<>();
  private long nextTable = ROOT + Pages.SIZE_BYTES;

  /** 64-bit code under four levels of page tables, none of which maps anything. */
  X86Fixture() {
    special.segment(Register.CS, new KvmSegment(0, -1, 0x33, 11, 3, Flag.L, Flag.S, Flag.G));
    special.cr0(CR0_PAGING);
    special.cr3(ROOT);
    special.cr4(CR4_PHYSICAL_EXTENSION);
    special.efer(EFER_LONG_MODE_ACTIVE);
  }

  X86Fixture in32BitCode() {
    special.segment(Register.CS, new KvmSegment(0, -1, 0x23, 11, 3, Flag.DB, Flag.S, Flag.G));
    special.efer(0);
    return this;
  }

  byte[] page(long address) {
    return pages.computeIfAbsent(Pages.align(address), at -> new byte[Pages.SIZE_BYTES]);
  }

  void write(long address, byte... bytes) {
    for (int i = 0; i < bytes.length; i++) {
      long at = address + i;
      page(at)[(int) (at - Pages.align(at))] = bytes[i];
    }
  }

  void writeLong(long address, long value) {
    write(
        address,
        ByteBuffer.allocate(Long.BYTES).order(ByteOrder.LITTLE_ENDIAN).putLong(value).array());
  }

  void writeInt(long address, int value) {
    write(
        address,
        ByteBuffer.allocate(Integer.BYTES).order(ByteOrder.LITTLE_ENDIAN).putInt(value).array());
  }

  private long readLong(long address) {
    return ByteBuffer.wrap(page(address))
        .order(ByteOrder.LITTLE_ENDIAN)
        .getLong((int) (address - Pages.align(address)));
  }

  /** Nobody can read this page. */
  void lose(long address) {
    lost.add(Pages.align(address));
  }

  /** Maps a page, making the tables on the way; answers the address of the last entry. */
  long map(long linear, long physical) {
    return map(linear, physical, Pages.SHIFT, 4);
  }

  /**
   * @param leafShift log2 of the size of the leaf: 12, 21 or 30
   */
  long map(long linear, long physical, int leafShift, int levels) {
    long table = ROOT;
    for (int shift = Pages.SHIFT + (levels - 1) * 9; shift > leafShift; shift -= 9) {
      long entry = table + (linear >>> shift & 511) * Long.BYTES;
      if (readLong(entry) == 0) {
        writeLong(entry, nextTable | PRESENT);
        nextTable += Pages.SIZE_BYTES;
      }
      table = Pages.align(readLong(entry));
    }
    long entry = table + (linear >>> leafShift & 511) * Long.BYTES;
    writeLong(entry, physical | PRESENT | (leafShift == Pages.SHIFT ? 0 : LEAF));
    return entry;
  }

  @Override
  public Optional<byte[]> read(long address, int lengthBytes) {
    int offset = (int) (address - Pages.align(address));
    return lost.contains(Pages.align(address))
        ? Optional.empty()
        : Optional.of(Arrays.copyOfRange(page(address), offset, offset + lengthBytes));
  }
}
