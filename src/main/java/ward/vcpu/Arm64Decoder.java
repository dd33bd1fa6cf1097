package ward.vcpu;

import java.util.Optional;
import ward.kernel.KernelCallException;

/**
 * Where a load or store instruction reaches: Arm Architecture Reference Manual, "A64 instruction
 * set encoding", Loads and Stores. Vector structures, prefetches and tags are not known.
 *
 * @param instruction its 32 bits
 * @param pc its guest-virtual address
 */
record Arm64Decoder(int instruction, long pc, Registers registers) {

  /** A vCPU's registers. */
  @FunctionalInterface
  interface Registers {

    /**
     * @param number 0 to 30, or {@link #STACK_POINTER}
     */
    long value(int number) throws KernelCallException;
  }

  /** As base, 31 is the current stack pointer. */
  static final int STACK_POINTER = 31;

  /**
   * What is accessed.
   *
   * @param address guest-virtual
   */
  record Operand(long address, int lengthBytes) {}

  private static final int POST_INDEXED = 1;
  private static final int QUADWORD_BYTES = 16;

  /** Empty if the instruction is no load or store that is known here. */
  Optional<Operand> operand() throws KernelCallException {
    if ((instruction & 0x3b000000) == 0x39000000) {
      return Optional.of(scaled());
    }
    if ((instruction & 0x3b000000) == 0x38000000) {
      return (instruction & 1 << 21) == 0 ? Optional.of(unscaled()) : byRegister();
    }
    if ((instruction & 0x3a000000) == 0x28000000) {
      return Optional.of(pair());
    }
    if ((instruction & 0x3f000000) == 0x08000000) {
      return Optional.of(new Operand(base(), (1 << bits(30, 2)) << bits(21, 1)));
    }
    return (instruction & 0x3b000000) == 0x18000000 ? Optional.of(literal()) : Optional.empty();
  }

  private int bits(int low, int count) {
    return instruction >>> low & (1 << count) - 1;
  }

  private int signedBits(int low, int count) {
    return instruction << Integer.SIZE - low - count >> Integer.SIZE - count;
  }

  private boolean isVector() {
    return bits(26, 1) == 1;
  }

  private long base() throws KernelCallException {
    return registers.value(bits(5, 5));
  }

  /** Of one register's access. */
  private int lengthBytes() {
    return isVector() && bits(23, 1) == 1 ? QUADWORD_BYTES : 1 << bits(30, 2);
  }

  private Operand scaled() throws KernelCallException {
    int length = lengthBytes();
    return new Operand(base() + (long) bits(10, 12) * length, length);
  }

  private Operand unscaled() throws KernelCallException {
    int offset = bits(10, 2) == POST_INDEXED ? 0 : signedBits(12, 9);
    return new Operand(base() + offset, lengthBytes());
  }

  /** With an offset in a register, or an atomic operation, which has none. */
  private Optional<Operand> byRegister() throws KernelCallException {
    return switch (bits(10, 2)) {
      case 0 -> Optional.of(new Operand(base(), 1 << bits(30, 2)));
      case 2 -> Optional.of(new Operand(base() + extendedOffset(), lengthBytes()));
      default -> Optional.empty();
    };
  }

  private long extendedOffset() throws KernelCallException {
    long offset = bits(16, 5) == STACK_POINTER ? 0 : registers.value(bits(16, 5));
    long extended =
        switch (bits(13, 3)) {
          case 2 -> offset & 0xffff_ffffL;
          case 6 -> (int) offset;
          default -> offset;
        };
    return bits(12, 1) == 0 ? extended : extended * lengthBytes();
  }

  private Operand pair() throws KernelCallException {
    int length = isVector() ? Integer.BYTES << bits(30, 2) : Integer.BYTES << bits(31, 1);
    long offset = bits(23, 2) == POST_INDEXED ? 0 : (long) signedBits(15, 7) * length;
    return new Operand(base() + offset, 2 * length);
  }

  private Operand literal() {
    int length = isVector() ? Integer.BYTES << bits(30, 2) : Integer.BYTES << (bits(30, 2) & 1);
    return new Operand(pc + (long) signedBits(5, 19) * Integer.BYTES, length);
  }
}
