package ward.vcpu;

import java.util.List;

/**
 * What one instruction does with memory.
 *
 * @param lengthBytes 1 to 15 where decoded
 * @param operands memory that it loads from or stores to, the stack included
 * @param readsDescriptors whether it also reads the global descriptor table
 */
record X86Instruction(
    Kind kind, int lengthBytes, List<X86Operand> operands, boolean readsDescriptors) {

  enum Kind {
    DECODED,
    /** The bytes end before the instruction does. */
    CUT_OFF,
    /** Not known here, or it reaches memory in ways that cannot be told from registers. */
    UNKNOWN
  }

  static final int BYTES_MAX = 15;

  static final X86Instruction CUT_OFF = new X86Instruction(Kind.CUT_OFF, 0, List.of(), false);
  static final X86Instruction UNKNOWN = new X86Instruction(Kind.UNKNOWN, 0, List.of(), false);

  X86Instruction {
    operands = List.copyOf(operands);
  }
}
