package ward.vcpu;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
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

  private static final int STACK_POINTER = 4;

  /** SS, RSP, RFLAGS, CS, RIP and an error code. */
  private static final int FRAME_BYTES = 6 * Long.BYTES;

  /** A task state of 64-bit mode, up to its port map; and where its eleven stack pointers begin. */
  private static final int TASK_BYTES = 104;

  private static final int TASK_STACKS = 4;

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
      if (unreadable.isEmpty()) {
        probeDelivery();
      }
    }
    return List.copyOf(unreadable);
  }

  /**
   * What else the processor touches by itself: on the way to a handler it reads the gate, the
   * handler's segment and the task's stack pointers, and pushes what it interrupts.
   */
  private void probeDelivery() {
    probe(special.idtBase(), special.idtLimit() + 1);
    probe(special.gdtBase(), special.gdtLimit() + 1);
    probe(special.base(KvmSregs.Register.TR), TASK_BYTES);
    probe(general.general(STACK_POINTER) - FRAME_BYTES, FRAME_BYTES);
    for (int offset = TASK_STACKS; offset < TASK_BYTES - Long.BYTES; offset += Long.BYTES) {
      long stack = longAt(special.base(KvmSregs.Register.TR) + offset);
      if (stack != 0) {
        probe(stack - FRAME_BYTES, FRAME_BYTES);
      }
    }
  }

  /** 0 where nothing can be read. */
  private long longAt(long linear) {
    byte[] bytes = fetch(linear, Long.BYTES);
    return bytes.length == Long.BYTES
        ? ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN).getLong()
        : 0;
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
