package ward.vcpu;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import ward.memory.Pages;
import ward.vcpu.Arm64Decoder.Operand;

/**
 * Finds the page that an arm64 vCPU's instruction could not reach: a translation table, its own, or
 * its operand's.
 *
 * @param pc guest-virtual
 * @param decoder of an instruction there, which knows the vCPU's registers
 */
record Arm64AddressFinder(long pc, Arm64Translation translation, GuestBytes memory, Decoder decoder)
    implements AddressFinder {

  /** Decodes an instruction. */
  @FunctionalInterface
  interface Decoder {
    Optional<Operand> operand(int instruction);
  }

  @Override
  public List<Long> reach() {
    List<Long> unreadable = new ArrayList<>();
    Optional<byte[]> instruction = read(pc, Integer.BYTES, unreadable);
    if (instruction.isPresent()) {
      decoder
          .operand(ByteBuffer.wrap(instruction.get()).order(ByteOrder.LITTLE_ENDIAN).getInt())
          .ifPresent(operand -> readOperand(operand, unreadable));
    }
    return List.copyOf(unreadable);
  }

  /** An operand may lie in two pages. */
  private void readOperand(Operand operand, List<Long> unreadable) {
    long end = operand.address() + operand.lengthBytes();
    long second = Pages.align(end - 1);
    long firstEnd = Long.compareUnsigned(second, operand.address()) > 0 ? second : end;
    read(operand.address(), (int) (firstEnd - operand.address()), unreadable);
    if (firstEnd != end) {
      read(second, (int) (end - second), unreadable);
    }
  }

  private Optional<byte[]> read(long address, int lengthBytes, List<Long> unreadable) {
    Arm64Translation.Walk walk = translation.walk(address);
    walk.unreadable().ifPresent(unreadable::add);
    if (walk.address().isEmpty()) {
      return Optional.empty();
    }
    Optional<byte[]> bytes = memory.read(walk.address().getAsLong(), lengthBytes);
    if (bytes.isEmpty()) {
      unreadable.add(Pages.align(walk.address().getAsLong()));
    }
    return bytes;
  }
}
