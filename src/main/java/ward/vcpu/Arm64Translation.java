package ward.vcpu;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Optional;
import java.util.OptionalLong;
import ward.memory.Pages;

/**
 * Follows a guest's own page tables, stage 1 of EL1 and EL0: Arm Architecture Reference Manual,
 * "VMSAv8-64 translation tables". Addresses of more than 48 bits are not followed.
 *
 * @param memory answers nothing for what is lost or not there yet
 */
record Arm64Translation(Control control, GuestBytes memory) {

  /** The registers that say where the tables are and how they are built. */
  record Control(long sctlr, long tcr, long ttbr0, long ttbr1) {

    private static final long MMU_ON = 1;
    private static final int UPPER_SHIFT = 16;
    private static final int SIZE_MASK = 0x3f;
    private static final int GRANULE_SHIFT = 14;
    private static final long TABLE_MASK = 0xffff_ffff_fffeL;

    boolean isOff() {
      return (sctlr & MMU_ON) == 0;
    }

    /** Input bits that are not translated: TxSZ. */
    int unusedBits(boolean upper) {
      return (int) (tcr >>> (upper ? UPPER_SHIFT : 0)) & SIZE_MASK;
    }

    /** log2 bytes; the two halves say it by different numbers. */
    Optional<Integer> granuleShift(boolean upper) {
      int code = (int) (tcr >>> GRANULE_SHIFT + (upper ? UPPER_SHIFT : 0)) & 3;
      int[] shifts = upper ? new int[] {0, 14, 12, 16} : new int[] {12, 16, 14, 0};
      return shifts[code] == 0 ? Optional.empty() : Optional.of(shifts[code]);
    }

    long table(boolean upper) {
      return (upper ? ttbr1 : ttbr0) & TABLE_MASK;
    }
  }

  private static final int LEVEL_LAST = 3;
  private static final int UPPER_HALF_BIT = 55;
  private static final long VALID = 1;
  private static final long TABLE_OR_PAGE = 2;
  private static final int OUTPUT_BITS = 48;

  /**
   * Where a walk ended; nowhere, if both are empty: the guest itself takes a translation fault.
   *
   * @param address guest-physical, of the byte
   * @param unreadable guest-physical, of the page of the table that could not be read
   */
  record Walk(OptionalLong address, OptionalLong unreadable) {

    private static final Walk NOWHERE = new Walk(OptionalLong.empty(), OptionalLong.empty());

    static Walk to(long address) {
      return new Walk(OptionalLong.of(address), OptionalLong.empty());
    }

    static Walk stoppedAt(long entry) {
      return new Walk(OptionalLong.empty(), OptionalLong.of(Pages.align(entry)));
    }
  }

  /**
   * @param address guest-virtual
   */
  Walk walk(long address) {
    if (control.isOff()) {
      return Walk.to(address);
    }
    boolean upper = (address >>> UPPER_HALF_BIT & 1) != 0;
    return control
        .granuleShift(upper)
        .map(shift -> walk(address, upper, shift))
        .orElse(Walk.NOWHERE);
  }

  private Walk walk(long address, boolean upper, int granuleShift) {
    int stride = granuleShift - 3;
    int inputBits = Long.SIZE - control.unusedBits(upper);
    int levels = (inputBits - granuleShift + stride - 1) / stride;
    long table = control.table(upper);
    for (int level = LEVEL_LAST + 1 - levels; level <= LEVEL_LAST; level++) {
      int shift = granuleShift + (LEVEL_LAST - level) * stride;
      int bits = Math.min(stride, inputBits - shift);
      long index = address >>> shift & (1L << bits) - 1;
      Optional<Long> entry = entry(table + index * Long.BYTES);
      if (entry.isEmpty()) {
        return Walk.stoppedAt(table + index * Long.BYTES);
      }
      if ((entry.get() & VALID) == 0) {
        return Walk.NOWHERE;
      }
      boolean isTable = (entry.get() & TABLE_OR_PAGE) != 0;
      if (!isTable || level == LEVEL_LAST) {
        return isTable == (level == LEVEL_LAST) ? leaf(entry.get(), address, shift) : Walk.NOWHERE;
      }
      table = output(entry.get(), granuleShift);
    }
    return Walk.NOWHERE;
  }

  private static Walk leaf(long entry, long address, int shift) {
    return Walk.to(output(entry, shift) | address & (1L << shift) - 1);
  }

  private static long output(long entry, int shift) {
    return entry & (1L << OUTPUT_BITS) - (1L << shift);
  }

  private Optional<Long> entry(long address) {
    return memory
        .read(address, Long.BYTES)
        .map(bytes -> ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN).getLong());
  }
}
