package ward.vcpu;

import java.util.Optional;
import ward.memory.Pages;

/**
 * A store that KVM's emulator has made in lost memory: the guest stands behind it, and its
 * registers are those after it. Finds where it stood before, by the instructions that end, or go
 * on, where it stands now.
 *
 * <p>Several may fit, when the bytes before the instruction look like prefixes of it. The longest
 * is taken: whichever is wrong stores to the same lost memory when it is run again, and so to none.
 */
final class X86Store {

  private static final int RCX = 1;
  private static final int RSI = 6;
  private static final int RDI = 7;
  private static final long DIRECTION = 1 << 10;

  private static final int COPY_BYTE = 0xa4;
  private static final int COPY = 0xa5;
  private static final int STORE_BYTE = 0xaa;
  private static final int STORE = 0xab;
  private static final int REPEAT = 0xf3;
  private static final int REPEAT_TOO = 0xf2;

  private final KvmRegs after;
  private final KvmSregs special;
  private final GuestBytes memory;
  private final X86Paging paging;
  private final MemoryEvent.Mmio access;
  private final int sizeBytes;

  /**
   * @param after the registers at KVM_EXIT_MMIO
   * @param access what KVM could not store, and where
   */
  X86Store(
      KvmRegs after, KvmSregs special, GuestBytes memory, MemoryEvent.Mmio access, int sizeBytes) {
    this.after = after;
    this.special = special;
    this.memory = memory;
    this.paging = new X86Paging(special, memory);
    this.access = access;
    this.sizeBytes = sizeBytes;
  }

  /** The registers before the store; empty if no instruction is found that fits. */
  Optional<KvmRegs> before() {
    for (int length = X86Instruction.BYTES_MAX; length > 0; length--) {
      byte[] code = codeAt(after.rip() - length, length);
      Optional<KvmRegs> found = isString(code) ? beforeString(code, length) : beforePlain(code);
      if (found.isPresent()) {
        return found;
      }
    }
    return beforeRepetition();
  }

  /** No bytes where they cannot be read, or are of two pages. */
  private byte[] codeAt(long rip, int length) {
    long linear = special.base(KvmSregs.Register.CS) + rip;
    X86Translation place = paging.translate(linear);
    boolean inOnePage = Pages.align(linear) == Pages.align(linear + length - 1);
    return place.kind() == X86Translation.Kind.MAPPED && inOnePage
        ? memory.read(place.address(), length).orElse(new byte[0])
        : new byte[0];
  }

  private Optional<KvmRegs> beforePlain(byte[] code) {
    KvmRegs before = new KvmRegs(after.toBytes());
    before.rip(after.rip() - code.length);
    X86Instruction instruction = X86Decoder.decode(code, before, special);
    boolean fits =
        instruction.kind() == X86Instruction.Kind.DECODED
            && instruction.lengthBytes() == code.length
            && instruction.operands().stream().anyMatch(this::isTheStore);
    return fits ? Optional.of(before) : Optional.empty();
  }

  private boolean isTheStore(X86Operand operand) {
    X86Translation place = paging.translate(operand.linearAddress());
    long offset = access.guestPhysicalAddress() - place.address();
    return place.kind() == X86Translation.Kind.MAPPED
        && offset >= 0
        && offset + sizeBytes == operand.sizeBytes();
  }

  private static boolean isString(byte[] code) {
    return code.length > 0 && (isCopy(opcode(code)) || isStringStore(opcode(code)));
  }

  private static int opcode(byte[] code) {
    return Byte.toUnsignedInt(code[code.length - 1]);
  }

  private static boolean isCopy(int opcode) {
    return opcode == COPY_BYTE || opcode == COPY;
  }

  private static boolean isStringStore(int opcode) {
    return opcode == STORE_BYTE || opcode == STORE;
  }

  /** One that has ended: not repeated, or this was the last time. */
  private Optional<KvmRegs> beforeString(byte[] code, int length) {
    for (int i = 0; i < code.length - 1; i++) {
      if (!isPrefix(Byte.toUnsignedInt(code[i]))) {
        return Optional.empty();
      }
    }
    KvmRegs before = steppedBack(opcode(code), isRepeated(code));
    before.rip(after.rip() - length);
    return storesThere(before) ? Optional.of(before) : Optional.empty();
  }

  private static boolean isPrefix(int value) {
    boolean wide = value >= 0x40 && value <= 0x4f;
    return wide || value == 0x66 || value == REPEAT || value == REPEAT_TOO;
  }

  private static boolean isRepeated(byte[] code) {
    for (byte value : code) {
      int prefix = Byte.toUnsignedInt(value);
      if (prefix == REPEAT || prefix == REPEAT_TOO) {
        return true;
      }
    }
    return false;
  }

  /** One that goes on: the guest still stands at it. */
  private Optional<KvmRegs> beforeRepetition() {
    for (int length = 2; length <= 4; length++) {
      byte[] code = codeAt(after.rip(), length);
      if (isString(code) && isRepeated(code) && isPrefix(Byte.toUnsignedInt(code[0]))) {
        KvmRegs before = steppedBack(opcode(code), true);
        return storesThere(before) ? Optional.of(before) : Optional.empty();
      }
    }
    return Optional.empty();
  }

  private KvmRegs steppedBack(int opcode, boolean repeated) {
    KvmRegs before = new KvmRegs(after.toBytes());
    long step = (after.rflags() & DIRECTION) != 0 ? -sizeBytes : sizeBytes;
    before.general(RDI, after.general(RDI) - step);
    if (isCopy(opcode)) {
      before.general(RSI, after.general(RSI) - step);
    }
    if (repeated) {
      before.general(RCX, after.general(RCX) + 1);
    }
    return before;
  }

  private boolean storesThere(KvmRegs before) {
    X86Translation place = paging.translate(before.general(RDI));
    return place.kind() == X86Translation.Kind.MAPPED
        && place.address() == access.guestPhysicalAddress();
  }
}
