package ward.vcpu;

import java.util.ArrayList;
import java.util.List;
import ward.vcpu.KvmSregs.Register;

/**
 * Finds the memory operands of one x86 instruction, with the registers as they are before it runs.
 *
 * <p>Where the exact size of an operand depends on more than the instruction, a size that covers
 * every case is taken: a page too many is sorted out by whoever looks whether it can be read.
 * Whatever cannot be told for certain (vector gathers, most of EVEX, 16-bit code) is {@link
 * X86Instruction#UNKNOWN}, never a guess.
 *
 * @see <a href="https://www.intel.com/sdm">Intel SDM, volume 2, chapter 2 and appendix A</a>
 */
final class X86Decoder {

  private static final int RAX = 0;
  private static final int RCX = 1;
  private static final int RBX = 3;
  private static final int RSP = 4;
  private static final int RBP = 5;
  private static final int RSI = 6;
  private static final int RDI = 7;

  /** MASKMOVDQU stores to where RDI points, as no other vector instruction does. */
  private static final int MASKED_STORE = 0xf7;

  private static final int FXSAVE_BYTES = 512;

  /** With every component that Linux enables, AVX-512 included. */
  private static final int XSAVE_BYTES = 2696;

  private static final int VECTOR_BYTES = 16;
  private static final int WIDE_VECTOR_BYTES = 32;
  private static final int MAX_VECTOR_BYTES = 64;
  private static final int TABLE_REGISTER_BYTES = 10;

  /** Frame of a return from an interrupt: RIP, CS, RFLAGS, RSP, SS. */
  private static final int INTERRUPT_FRAME_WORDS = 5;

  /** The bytes ended, or mean nothing here. */
  private static final class Stop extends Exception {
    private static final long serialVersionUID = 1;
    private final X86Instruction result;

    Stop(X86Instruction result) {
      super(null, null, false, false);
      this.result = result;
    }
  }

  private final byte[] code;
  private final KvmRegs general;
  private final KvmSregs special;
  private final boolean is64Bit;
  private final List<X86Operand> operands = new ArrayList<>();

  private int position;
  private boolean operandSizePrefix;
  private boolean addressSizePrefix;
  private boolean repeats;
  private boolean scalarSingle;
  private boolean scalarDouble;
  private Register segmentOverride;
  private int rex;
  private boolean readsDescriptors;

  /** What a displacement of one byte counts: bytes, except under EVEX. */
  private int displacementUnit = 1;

  private int modRm;

  /** Of the ModRM operand, without its size; relative to the next instruction if that is set. */
  private long effective;

  private Register effectiveSegment;
  private boolean relativeToNext;

  /** Size of a ModRM operand that waits for the end of the instruction to be known; 0 if none. */
  private int pendingSize;

  private X86Decoder(byte[] code, KvmRegs general, KvmSregs special, boolean is64Bit) {
    this.code = code;
    this.general = general;
    this.special = special;
    this.is64Bit = is64Bit;
  }

  /**
   * Decodes the instruction at the start of the bytes.
   *
   * @param code what follows CS:RIP, as much as can be read, at most {@link
   *     X86Instruction#BYTES_MAX}
   */
  static X86Instruction decode(byte[] code, KvmRegs general, KvmSregs special) {
    boolean is64Bit = special.has(Register.CS, KvmSegment.Flag.L);
    if (!is64Bit && !special.has(Register.CS, KvmSegment.Flag.DB)) {
      return X86Instruction.UNKNOWN;
    }
    try {
      return new X86Decoder(code, general, special, is64Bit).instruction();
    } catch (Stop stop) {
      return stop.result;
    }
  }

  private X86Instruction instruction() throws Stop {
    int opcode = prefixes();
    if (opcode == 0x0f) {
      twoBytes();
    } else if (opcode == 0xc4 && isVex()) {
      vexOfThreeBytes();
    } else if (opcode == 0xc5 && isVex()) {
      vexOfTwoBytes();
    } else if (opcode == 0x62 && is64Bit) {
      evex();
    } else {
      oneByte(opcode);
    }
    if (pendingSize > 0) {
      touch(effectiveSegment, effectiveAddress(), pendingSize);
    }
    return new X86Instruction(X86Instruction.Kind.DECODED, position, operands, readsDescriptors);
  }

  // --- bytes -------------------------------------------------------------------------------

  private int next() throws Stop {
    if (position == code.length) {
      throw new Stop(
          position < X86Instruction.BYTES_MAX ? X86Instruction.CUT_OFF : X86Instruction.UNKNOWN);
    }
    return Byte.toUnsignedInt(code[position++]);
  }

  private void skip(int bytes) throws Stop {
    for (int i = 0; i < bytes; i++) {
      next();
    }
  }

  private long signed(int bytes) throws Stop {
    long value = 0;
    for (int i = 0; i < bytes; i++) {
      value |= (long) next() << Byte.SIZE * i;
    }
    int unused = Long.SIZE - Byte.SIZE * bytes;
    return value << unused >> unused;
  }

  private static Stop unknown() {
    return new Stop(X86Instruction.UNKNOWN);
  }

  // --- prefixes ----------------------------------------------------------------------------

  /** Takes every prefix; answers the first byte of the opcode. */
  private int prefixes() throws Stop {
    while (true) {
      int next = next();
      if (!isLegacyPrefix(next)) {
        if (!is64Bit || next >>> 4 != 4) {
          return next;
        }
        rex = next;
        int opcode = next();
        if (opcode >>> 4 == 4 || isLegacyPrefix(opcode)) {
          throw unknown(); // a REX that is not last counts for nothing; nobody writes one
        }
        return opcode;
      }
    }
  }

  private boolean isLegacyPrefix(int prefix) {
    switch (prefix) {
      case 0x26 -> segmentOverride = Register.ES;
      case 0x2e -> segmentOverride = Register.CS;
      case 0x36 -> segmentOverride = Register.SS;
      case 0x3e -> segmentOverride = Register.DS;
      case 0x64 -> segmentOverride = Register.FS;
      case 0x65 -> segmentOverride = Register.GS;
      case 0x66 -> operandSizePrefix = true;
      case 0x67 -> addressSizePrefix = true;
      case 0xf0 -> {} // LOCK
      case 0xf2 -> {
        repeats = true;
        scalarDouble = true;
      }
      case 0xf3 -> {
        repeats = true;
        scalarSingle = true;
      }
      default -> {
        return false;
      }
    }
    return true;
  }

  private boolean hasRex(int bit) {
    return (rex >>> bit & 1) != 0;
  }

  private boolean isWide() {
    return hasRex(3);
  }

  /** 2, 4 or 8. */
  private int operandSize() {
    return isWide() ? 8 : operandSizePrefix ? 2 : 4;
  }

  /** Of an operand that is a byte where the opcode is even. */
  private int sizeByLowBit(int opcode) {
    return (opcode & 1) == 0 ? 1 : operandSize();
  }

  /** Of an immediate that is never 8 bytes. */
  private int immediateSize() {
    return operandSizePrefix && !isWide() ? 2 : 4;
  }

  /** The most that a push or a pop moves: what a prefix makes smaller is part of it. */
  private int stackSize() {
    return is64Bit ? 8 : 4;
  }

  // --- one-byte opcodes --------------------------------------------------------------------

  private void oneByte(int opcode) throws Stop {
    switch (opcode >>> 4) {
      case 0x0, 0x1, 0x2, 0x3 -> arithmetic(opcode);
      case 0x4 -> {} // INC, DEC of a register, in 32-bit code
      case 0x5 -> stack(opcode < 0x58);
      case 0x6 -> row6(opcode);
      case 0x7 -> skip(1); // conditional jumps
      case 0x8 -> row8(opcode);
      case 0x9 -> row9(opcode);
      case 0xa -> rowA(opcode);
      case 0xb -> skip(opcode < 0xb8 ? 1 : isWide() ? 8 : immediateSize());
      case 0xc -> rowC(opcode);
      case 0xd -> rowD(opcode);
      case 0xe -> rowE(opcode);
      default -> rowF(opcode);
    }
  }

  private void arithmetic(int opcode) throws Stop {
    switch (opcode & 7) {
      case 0, 1, 2, 3 -> modRmOf(sizeByLowBit(opcode));
      case 4 -> skip(1);
      case 5 -> skip(immediateSize());
      default -> throw unknown(); // segment registers on the stack, BCD: not in 64-bit code
    }
  }

  private void row6(int opcode) throws Stop {
    switch (opcode) {
      case 0x63 -> modRmOf(is64Bit ? 4 : 2);
      case 0x68 -> {
        skip(immediateSize());
        stack(true);
      }
      case 0x69 -> {
        modRmOf(operandSize());
        skip(immediateSize());
      }
      case 0x6a -> {
        skip(1);
        stack(true);
      }
      case 0x6b -> {
        modRmOf(operandSize());
        skip(1);
      }
      case 0x6c, 0x6d -> destinationString(sizeByLowBit(opcode)); // INS
      case 0x6e, 0x6f -> sourceString(sizeByLowBit(opcode)); // OUTS
      default -> throw unknown();
    }
  }

  private void row8(int opcode) throws Stop {
    switch (opcode) {
      case 0x80, 0x82, 0x83 -> {
        modRmOf(sizeByLowBit(opcode));
        skip(1);
      }
      case 0x81 -> {
        modRmOf(operandSize());
        skip(immediateSize());
      }
      case 0x8c -> modRmOf(2);
      case 0x8d -> modRm(); // LEA only computes the address
      case 0x8e -> {
        modRmOf(2);
        readsDescriptors = true;
      }
      case 0x8f -> popToMemory();
      default -> modRmOf(sizeByLowBit(opcode));
    }
  }

  private void popToMemory() throws Stop {
    modRmOf(stackSize());
    stack(false);
    boolean mayBeBasedOnStack = (modRm & 7) == RSP; // which moves before the address is computed
    boolean isExtension = (modRm >>> 3 & 7) != 0; // XOP of AMD
    if (mayBeBasedOnStack || isExtension) {
      throw unknown();
    }
  }

  private void row9(int opcode) throws Stop {
    switch (opcode) {
      case 0x9a -> throw unknown(); // far call
      case 0x9c -> stack(true);
      case 0x9d -> stack(false);
      default -> {}
    }
  }

  private void rowA(int opcode) throws Stop {
    int size = sizeByLowBit(opcode);
    switch (opcode) {
      case 0xa0, 0xa1, 0xa2, 0xa3 ->
          touch(segmentOr(Register.DS), signed(is64Bit && !addressSizePrefix ? 8 : 4), size);
      case 0xa4, 0xa5, 0xa6, 0xa7 -> {
        sourceString(size);
        destinationString(size);
      }
      case 0xa8 -> skip(1);
      case 0xa9 -> skip(immediateSize());
      case 0xac, 0xad -> sourceString(size);
      default -> destinationString(size);
    }
  }

  private void rowC(int opcode) throws Stop {
    switch (opcode) {
      case 0xc0, 0xc1 -> {
        modRmOf(sizeByLowBit(opcode));
        skip(1);
      }
      case 0xc2 -> {
        skip(2);
        stack(false);
      }
      case 0xc3 -> stack(false);
      case 0xc6 -> {
        modRmOf(1);
        skip(1);
      }
      case 0xc7 -> {
        modRmOf(operandSize());
        skip(immediateSize());
      }
      case 0xc9 -> touch(Register.SS, general.general(RBP), stackSize()); // LEAVE
      case 0xca, 0xcb, 0xcf -> farReturn(opcode);
      default -> throw unknown(); // LES, LDS, ENTER, INT
    }
  }

  private void farReturn(int opcode) throws Stop {
    skip(opcode == 0xca ? 2 : 0);
    int word = isWide() ? 8 : operandSizePrefix ? 2 : 4;
    touch(Register.SS, general.general(RSP), INTERRUPT_FRAME_WORDS * word);
    readsDescriptors = true;
  }

  private void rowD(int opcode) throws Stop {
    switch (opcode) {
      case 0xd0, 0xd1, 0xd2, 0xd3 -> modRmOf(sizeByLowBit(opcode));
      case 0xd7 ->
          touch(segmentOr(Register.DS), general.general(RBX) + (general.general(RAX) & 0xff), 1);
      case 0xd4, 0xd5, 0xd6 -> throw unknown();
      default -> floatingPoint(opcode);
    }
  }

  private void floatingPoint(int opcode) throws Stop {
    modRm();
    int extension = modRm >>> 3 & 7;
    boolean isWhole = opcode == 0xdd && (extension == 4 || extension == 6);
    boolean isEnvironment = opcode == 0xd9 && (extension == 4 || extension == 6);
    pend(isWhole ? 108 : isEnvironment ? 28 : opcode == 0xdb || opcode == 0xdf ? 10 : 8);
  }

  private void rowE(int opcode) throws Stop {
    switch (opcode) {
      case 0xe8 -> {
        skip(4);
        stack(true);
      }
      case 0xe9 -> skip(4);
      case 0xea -> throw unknown();
      case 0xec, 0xed, 0xee, 0xef -> {} // ports named by DX
      default -> skip(1);
    }
  }

  private void rowF(int opcode) throws Stop {
    switch (opcode) {
      case 0xf6, 0xf7 -> unaryGroup(opcode);
      case 0xfe -> modRmOf(1);
      case 0xff -> group5();
      case 0xf1 -> throw unknown();
      default -> {} // flags, HLT
    }
  }

  private void unaryGroup(int opcode) throws Stop {
    modRmOf(sizeByLowBit(opcode));
    if ((modRm >>> 3 & 7) < 2) {
      skip(opcode == 0xf6 ? 1 : immediateSize());
    }
  }

  private void group5() throws Stop {
    modRm();
    switch (modRm >>> 3 & 7) {
      case 0, 1 -> pend(operandSize());
      case 2, 6 -> {
        pend(stackSize());
        stack(true);
      }
      case 4 -> pend(stackSize());
      default -> throw unknown(); // far
    }
  }

  // --- opcodes after 0F --------------------------------------------------------------------

  private void twoBytes() throws Stop {
    int opcode = next();
    switch (opcode) {
      case 0x38 -> map38(next());
      case 0x3a -> {
        next();
        modRmOf(VECTOR_BYTES);
        skip(1);
      }
      case 0x00 -> systemGroup6();
      case 0x01 -> systemGroup7();
      case 0x02, 0x03 -> {
        modRmOf(2);
        readsDescriptors = true;
      }
      // SYSCALL, CLTS, SYSRET, INVD, WBINVD, UD2; MSRs, counters, SYSENTER; EMMS, CPUID
      case 0x05, 0x06, 0x07, 0x08, 0x09, 0x0b, 0x30, 0x31, 0x32, 0x33, 0x34, 0x35, 0x77, 0xa2 -> {}
      case 0x20, 0x21, 0x22, 0x23 -> next(); // control and debug registers: never memory
      case 0xa0, 0xa8 -> stack(true);
      case 0xa1, 0xa9 -> {
        stack(false);
        readsDescriptors = true;
      }
      case 0xa3, 0xab, 0xb3, 0xbb -> bitString();
      case 0xae -> group15();
      case 0xc7 -> group9();
      case 0x0d, 0x18, 0x19, 0x1a, 0x1b, 0x1c, 0x1d, 0x1e, 0x1f -> modRm(); // hints
      default -> plainTwoBytes(opcode);
    }
  }

  private void plainTwoBytes(int opcode) throws Stop {
    if (opcode >>> 4 == 0x8) {
      skip(4); // conditional jumps
    } else if (opcode >= 0xc8 && opcode <= 0xcf) {
      return; // BSWAP
    } else if (isUnassigned(opcode)) {
      throw unknown();
    } else {
      modRmOf(sizeOfTwoBytes(opcode));
      skip(hasImmediate(opcode) ? 1 : 0);
    }
  }

  private static boolean isUnassigned(int opcode) {
    return opcode <= 0x0f
        || opcode >= 0x24 && opcode <= 0x27
        || opcode >= 0x34 && opcode <= 0x3f
        || opcode == 0x78
        || opcode == 0x79
        || opcode == 0xaa
        || opcode == MASKED_STORE
        || opcode == 0xff;
  }

  private static boolean hasImmediate(int opcode) {
    return switch (opcode) {
      case 0x70, 0x71, 0x72, 0x73, 0xa4, 0xac, 0xba, 0xc2, 0xc4, 0xc5, 0xc6 -> true;
      default -> false;
    };
  }

  private int sizeOfTwoBytes(int opcode) {
    switch (opcode >>> 4) {
      case 0x4, 0xa, 0xb, 0xc:
        return generalSize(opcode);
      case 0x9:
        return 1; // SETcc
      default:
        return vectorSize(opcode);
    }
  }

  private int generalSize(int opcode) {
    return switch (opcode) {
      case 0xb0, 0xb6, 0xbe, 0xc0 -> 1;
      case 0xb7, 0xbf, 0xc4 -> 2;
      case 0xc2, 0xc6 -> vectorSize(opcode);
      case 0xb2, 0xb4, 0xb5 -> TABLE_REGISTER_BYTES; // far pointers
      default -> operandSize();
    };
  }

  private int vectorSize(int opcode) {
    boolean isScalar = opcode < 0x60 || opcode == 0xc2;
    if (isScalar && scalarSingle) {
      return 4;
    }
    boolean isHalf = opcode == 0x12 || opcode == 0x13 || opcode == 0x16 || opcode == 0x17;
    if (isScalar && scalarDouble || isHalf || opcode == 0x6e || opcode == 0x7e || opcode == 0xd6) {
      return 8;
    }
    boolean isMmx = opcode >= 0x60 && !operandSizePrefix && !scalarSingle && !scalarDouble;
    return isMmx && opcode != 0xc2 && opcode != 0xc6 ? 8 : VECTOR_BYTES;
  }

  private void systemGroup6() throws Stop {
    modRmOf(2);
    readsDescriptors = (modRm >>> 3 & 7) > 1;
  }

  private void systemGroup7() throws Stop {
    modRm();
    if (isRegister()) {
      return;
    }
    switch (modRm >>> 3 & 7) {
      case 0, 1, 2, 3 -> pend(TABLE_REGISTER_BYTES);
      case 4, 6 -> pend(2);
      default -> {} // INVLPG
    }
  }

  private void group9() throws Stop {
    modRm();
    pend((modRm >>> 3 & 7) == 1 ? VECTOR_BYTES : XSAVE_BYTES);
  }

  private void group15() throws Stop {
    modRm();
    switch (modRm >>> 3 & 7) {
      case 0, 1 -> pend(FXSAVE_BYTES);
      case 2, 3 -> pend(4);
      case 7 -> pend(1); // CLFLUSH
      default -> pend(XSAVE_BYTES);
    }
  }

  /** BT and its kin: the register counts bits from the operand, in both directions. */
  private void bitString() throws Stop {
    modRm();
    int size = operandSize();
    long bits = general.general(modRm >>> 3 & 7 | (hasRex(2) ? 8 : 0));
    int unused = Long.SIZE - Byte.SIZE * size;
    long bit = bits << unused >> unused;
    effective += Math.floorDiv(bit, Byte.SIZE * size) * size;
    pend(size);
  }

  private void map38(int opcode) throws Stop {
    switch (opcode) {
      case 0xf8 -> throw unknown(); // MOVDIR64B has two operands
      case 0xf0, 0xf1, 0xf6, 0xf9 -> modRmOf(scalarDouble && opcode == 0xf0 ? 1 : operandSize());
      default -> modRmOf(VECTOR_BYTES);
    }
  }

  // --- VEX ---------------------------------------------------------------------------------

  /** In 32-bit code the same bytes are LES and LDS unless they would name a register. */
  private boolean isVex() throws Stop {
    if (position == code.length) {
      throw new Stop(X86Instruction.CUT_OFF);
    }
    return is64Bit || Byte.toUnsignedInt(code[position]) >= 0xc0;
  }

  private void vexOfTwoBytes() throws Stop {
    int payload = next();
    rex = (payload & 0x80) == 0 ? 0x44 : 0x40;
    vex(1, payload);
  }

  private void vexOfThreeBytes() throws Stop {
    int first = next();
    int payload = next();
    rex = 0x40 | ~first >>> 5 & 7 | (payload >>> 7 & 1) << 3;
    vex(first & 0x1f, payload);
  }

  private void vex(int map, int payload) throws Stop {
    applyImpliedPrefix(payload & 3);
    boolean isLong = (payload & 4) != 0;
    int opcode = next();
    switch (map) {
      case 1 -> vexMap1(opcode, isLong);
      case 2 -> vexMap2(opcode, isLong);
      case 3 -> {
        modRmOf(opcode == 0xf0 ? operandSize() : vexSize(isLong));
        skip(1);
      }
      default -> throw unknown();
    }
  }

  private void applyImpliedPrefix(int prefix) {
    operandSizePrefix = false;
    scalarSingle = prefix == 2;
    scalarDouble = prefix == 3;
    repeats = false;
  }

  private static int vexSize(boolean isLong) {
    return isLong ? WIDE_VECTOR_BYTES : VECTOR_BYTES;
  }

  private void vexMap1(int opcode, boolean isLong) throws Stop {
    if (opcode == 0x77) {
      return; // VZEROUPPER
    }
    if (opcode == MASKED_STORE) {
      throw unknown();
    }
    boolean isScalar = (scalarSingle || scalarDouble) && (opcode < 0x60 || opcode == 0xc2);
    int size = isScalar ? (scalarSingle ? 4 : 8) : vexSize(isLong);
    modRmOf(opcode >>> 4 == 9 ? 8 : size); // masks in row 9
    skip(hasImmediate(opcode) ? 1 : 0);
  }

  private void vexMap2(int opcode, boolean isLong) throws Stop {
    if (opcode >= 0x90 && opcode <= 0x93) {
      throw unknown(); // gathers: the addresses are in a vector register
    }
    modRmOf(opcode >= 0xf0 ? operandSize() : vexSize(isLong));
  }

  // --- EVEX --------------------------------------------------------------------------------

  /**
   * Only what loads or stores whole vectors, as copying and comparing do: elsewhere the unit of a
   * short displacement depends on the instruction.
   */
  private void evex() throws Stop {
    int first = next();
    int payload = next();
    int last = next();
    rex = 0x40 | ~first >>> 5 & 7 | (payload >>> 7 & 1) << 3;
    applyImpliedPrefix(payload & 3);
    int opcode = next();
    int map = first & 7;
    int size = VECTOR_BYTES << (last >>> 5 & 3);
    if (!isWholeVector(map, opcode)) {
      throw unknown();
    }
    displacementUnit = size;
    modRmOf(size);
    boolean isBroadcast = (last & 0x10) != 0 && !isRegister();
    if (isBroadcast || size > MAX_VECTOR_BYTES) {
      throw unknown();
    }
    skip(map == 3 || map == 1 && hasImmediate(opcode) ? 1 : 0);
  }

  private boolean isWholeVector(int map, int opcode) {
    return switch (map) {
      case 1 -> isMove(opcode) && !(scalarSingle || scalarDouble) || isIntegerOfMap1(opcode);
      // VPMINSB and its kin, VPTESTM
      case 2 -> opcode >= 0x38 && opcode <= 0x3f || opcode == 0x26 || opcode == 0x27;
      // VPTERNLOG, VPCMP
      case 3 -> opcode == 0x25 || opcode == 0x1e || opcode == 0x1f || (opcode & ~1) == 0x3e;
      default -> false;
    };
  }

  private static boolean isMove(int opcode) {
    return opcode == 0x10 || opcode == 0x11 || opcode == 0x28 || opcode == 0x29 || opcode == 0x2b;
  }

  private static boolean isIntegerOfMap1(int opcode) {
    return switch (opcode) {
      case 0x6f, 0x7f, 0xe7, 0x74, 0x75, 0x76, 0x64, 0x65, 0x66 -> true; // moves, compares
      case 0xda, 0xde, 0xdb, 0xdf, 0xeb, 0xef -> true; // minimum, maximum, logic
      case 0xd4, 0xf8, 0xf9, 0xfa, 0xfb, 0xfc, 0xfd, 0xfe -> true; // sums
      default -> false;
    };
  }

  // --- operands ----------------------------------------------------------------------------

  private void touch(Register segment, long offset, int sizeBytes) {
    long linear = base(segment) + offset;
    operands.add(
        new X86Operand(is64Bit ? linear : Integer.toUnsignedLong((int) linear), sizeBytes));
  }

  /** In 64-bit code only FS and GS have one. */
  private long base(Register segment) {
    boolean counts = !is64Bit || segment == Register.FS || segment == Register.GS;
    return counts ? special.base(segment) : 0;
  }

  private Register segmentOr(Register usual) {
    return segmentOverride == null ? usual : segmentOverride;
  }

  private void stack(boolean isPush) {
    long pointer = general.general(RSP);
    touch(Register.SS, isPush ? pointer - stackSize() : pointer, stackSize());
  }

  private boolean repeatsNotOnce() {
    return repeats && inAddressSize(general.general(RCX)) == 0;
  }

  private void sourceString(int size) {
    if (!repeatsNotOnce()) {
      touch(segmentOr(Register.DS), inAddressSize(general.general(RSI)), size);
    }
  }

  private void destinationString(int size) {
    if (!repeatsNotOnce()) {
      touch(Register.ES, inAddressSize(general.general(RDI)), size);
    }
  }

  private long inAddressSize(long address) {
    return is64Bit && !addressSizePrefix ? address : Integer.toUnsignedLong((int) address);
  }

  private boolean isRegister() {
    return modRm >>> 6 == 3;
  }

  private void modRmOf(int size) throws Stop {
    modRm();
    pend(size);
  }

  /** The operand's address may depend on where the instruction ends, which is not known yet. */
  private void pend(int size) {
    pendingSize = isRegister() ? 0 : size;
  }

  private long effectiveAddress() {
    long nextInstruction = relativeToNext ? general.rip() + position : 0;
    return inAddressSize(effective + nextInstruction);
  }

  private void modRm() throws Stop {
    modRm = next();
    if (isRegister()) {
      return;
    }
    if (addressSizePrefix && !is64Bit) {
      throw unknown(); // 16-bit addresses
    }
    int rm = modRm & 7;
    if (rm == RSP) {
      scaledIndex();
    } else if (rm == RBP && modRm >>> 6 == 0) {
      effective = signed(4);
      relativeToNext = is64Bit;
      effectiveSegment = segmentOr(Register.DS);
    } else {
      based(rm);
    }
    if (modRm >>> 6 != 0) {
      effective += modRm >>> 6 == 1 ? signed(1) * displacementUnit : signed(4);
    }
  }

  private void based(int register) {
    effective = general.general(register | (hasRex(0) ? 8 : 0));
    boolean onStack = (register == RSP || register == RBP) && !hasRex(0);
    effectiveSegment = segmentOr(onStack ? Register.SS : Register.DS);
  }

  private void scaledIndex() throws Stop {
    int sib = next();
    int index = sib >>> 3 & 7 | (hasRex(1) ? 8 : 0);
    long scaled = index == RSP ? 0 : general.general(index) << (sib >>> 6);
    if ((sib & 7) == RBP && modRm >>> 6 == 0) {
      effective = signed(4);
      effectiveSegment = segmentOr(Register.DS);
    } else {
      based(sib & 7);
    }
    effective += scaled;
  }
}
