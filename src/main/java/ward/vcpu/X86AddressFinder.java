package ward.vcpu;

import java.util.Arrays;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import ward.memory.Pages;

/**
 * Follows the instruction at which an x86 vCPU stands: where its bytes lie, what they touch, and
 * the page tables on the way. Pure, given the registers and the guest's memory.
 */
final class X86AddressFinder implements AddressFinder {

  private final KvmRegs general;
  private final KvmSregs special;
  private final GuestBytes memory;
  private final X86Paging paging;
  private final Set<Long> unreadable = new LinkedHashSet<>();

  X86AddressFinder(KvmRegs general, KvmSregs special, GuestBytes memory) {
    this.general = general;
    this.special = special;
    this.memory = memory;
    this.paging = new X86Paging(special, memory);
  }

  @Override
  public List<Long> reach() {
    unreadable.clear();
    X86Instruction instruction = instruction();
    if (instruction.kind() == X86Instruction.Kind.DECODED) {
      instruction
          .operands()
          .forEach(operand -> probe(operand.linearAddress(), operand.sizeBytes()));
      if (instruction.readsDescriptors()) {
        probe(special.gdtBase(), special.gdtLimit() + 1);
      }
    }
    return List.copyOf(unreadable);
  }

  /** Cut off where its bytes cannot be read, and then those are the first thing to fail. */
  private X86Instruction instruction() {
    long linear = special.base(KvmSregs.Register.CS) + general.rip();
    byte[] code = fetch(linear, bytesLeftInPage(linear));
    X86Instruction instruction = X86Decoder.decode(code, general, special);
    if (instruction.kind() == X86Instruction.Kind.CUT_OFF && unreadable.isEmpty()) {
      byte[] rest = fetch(linear + code.length, X86Instruction.BYTES_MAX - code.length);
      instruction = X86Decoder.decode(joined(code, rest), general, special);
    }
    return instruction;
  }

  private static int bytesLeftInPage(long address) {
    long left = Pages.SIZE_BYTES - (address - Pages.align(address));
    return (int) Math.min(left, X86Instruction.BYTES_MAX);
  }

  private static byte[] joined(byte[] first, byte[] second) {
    byte[] all = Arrays.copyOf(first, first.length + second.length);
    System.arraycopy(second, 0, all, first.length, second.length);
    return all;
  }

  private void probe(long linear, int sizeBytes) {
    long end = linear + Math.max(1, sizeBytes);
    for (long at = linear; at - end < 0; at = Pages.align(at) + Pages.SIZE_BYTES) {
      fetch(at, 1);
    }
  }

  /** Bytes in one page; what stands in the way is noted. */
  private byte[] fetch(long linear, int lengthBytes) {
    X86Translation place = paging.translate(linear);
    return switch (place.kind()) {
      case NOT_MAPPED -> new byte[0];
      case UNREADABLE_TABLE -> note(place.address());
      case MAPPED -> {
        Optional<byte[]> bytes = memory.read(place.address(), lengthBytes);
        yield bytes.isPresent() ? bytes.get() : note(place.address());
      }
    };
  }

  private byte[] note(long address) {
    unreadable.add(Pages.align(address));
    return new byte[0];
  }
}
