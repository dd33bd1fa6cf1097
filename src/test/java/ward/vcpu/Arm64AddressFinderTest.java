package ward.vcpu;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import ward.kernel.KernelCallException;
import ward.memory.Pages;
import ward.vcpu.Arm64Decoder.Operand;

class Arm64AddressFinderTest {

  private static final long CODE = 0x40001000L;
  private static final long TABLES = 0x50000000L;
  private static final long VIRTUAL = 0xffff_8000_1234_5000L;
  private static final int LOAD_X1_FROM_X0 = 0xf9400001;

  /** 4 KiB granules and 48 bits in both halves. */
  private static final long TCR = 16 | 16 << 16 | 2L << 30;

  private final Map<Long, byte[]> pages = new HashMap<>();
  private final Set<Long> lost = new HashSet<>();

  private Optional<byte[]> read(long address, int lengthBytes) {
    int at = (int) (address - Pages.align(address));
    return lost.contains(Pages.align(address))
        ? Optional.empty()
        : Optional.of(Arrays.copyOfRange(page(address), at, at + lengthBytes));
  }

  private byte[] page(long address) {
    return pages.computeIfAbsent(Pages.align(address), ignored -> new byte[Pages.SIZE_BYTES]);
  }

  private void putLong(long address, long value) {
    ByteBuffer.wrap(page(address))
        .order(ByteOrder.LITTLE_ENDIAN)
        .putLong((int) (address - Pages.align(address)), value);
  }

  private static Optional<Operand> operand(int instruction) {
    try {
      return new Arm64Decoder(instruction, CODE, number -> 0x10000L * number).operand();
    } catch (KernelCallException e) {
      throw new AssertionError(e);
    }
  }

  private Arm64AddressFinder finder(Arm64Translation.Control control, long pc, long base) {
    return new Arm64AddressFinder(
        pc,
        new Arm64Translation(control, this::read),
        this::read,
        instruction -> Optional.of(new Operand(base, 8)));
  }

  private static Arm64Translation.Control off() {
    return new Arm64Translation.Control(0, 0, 0, 0);
  }

  private static Arm64Translation.Control on() {
    return new Arm64Translation.Control(1, TCR, 0, TABLES);
  }

  /** Encodings as the assembler makes them; register n holds n * 0x10000. */
  @ParameterizedTest
  @CsvSource({
    "f9400041, 20000, 8", // ldr x1, [x2]
    "f9400c41, 20018, 8", // ldr x1, [x2, #24]
    "39400441, 20001, 1", // ldrb w1, [x2, #1]
    "f85f8c41, 1fff8, 8", // ldr x1, [x2, #-8]!
    "f85f8441, 20000, 8", // ldr x1, [x2], #-8
    "a9bf0861, 2fff0, 16", // stp x1, x2, [x3, #-16]!
    "28c10861, 30000, 8", // ldp w1, w2, [x3], #8
    "f8646861, 70000, 8", // ldr x1, [x3, x4]
    "f8647861, 230000, 8", // ldr x1, [x3, x4, lsl #3]
    "3dc00841, 20020, 16", // ldr q1, [x2, #32]
    "ad400861, 30000, 32", // ldp q1, q2, [x3]
    "c85f7c41, 20000, 8", // ldxr x1, [x2]
    "58000041, 40001008, 8", // ldr x1, .+8
    "f8210062, 30000, 8" // ldadd x1, x2, [x3]
  })
  void aLoadOrStoreSaysWhereItReaches(String instruction, String address, int lengthBytes) {
    assertThat(operand(Integer.parseUnsignedInt(instruction, 16)))
        .hasValue(new Operand(Long.parseLong(address, 16), lengthBytes));
  }

  @ParameterizedTest
  @CsvSource({"d503201f", "8b020020", "14000000"})
  void otherInstructionsReachNowhere(String instruction) {
    assertThat(operand(Integer.parseUnsignedInt(instruction, 16))).isEmpty();
  }

  @Test
  void withoutTranslationTheOperandsPageIsTheOne() {
    lost.add(0x40005000L);

    assertThat(finder(off(), CODE, 0x40005018L).reach()).containsExactly(0x40005000L);
  }

  @Test
  void anOperandAcrossTwoPagesMayMeetTheSecond() {
    lost.add(0x40006000L);

    assertThat(finder(off(), CODE, 0x40005ffcL).reach()).containsExactly(0x40006000L);
  }

  @Test
  void aLostInstructionHidesWhatItWouldReach() {
    lost.add(CODE);
    lost.add(0x40005000L);

    assertThat(finder(off(), CODE, 0x40005000L).reach()).containsExactly(CODE);
  }

  @Test
  void theUpperHalfIsTranslatedByItsOwnTables() {
    map();
    page(0x40007000L);
    lost.add(0x40007000L);

    assertThat(finder(on(), VIRTUAL, VIRTUAL + 0x1008).reach()).containsExactly(0x40007000L);
  }

  @Test
  void aTableThatCannotBeReadIsThePlace() {
    map();
    lost.add(TABLES + 0x2000);

    assertThat(finder(on(), VIRTUAL, VIRTUAL).reach()).containsExactly(TABLES + 0x2000);
  }

  /** Two pages in a row: code, and the one at 0x40007000. */
  private void map() {
    long[] levels = {TABLES, TABLES + 0x1000, TABLES + 0x2000, TABLES + 0x3000};
    for (int level = 0; level < 3; level++) {
      long index = VIRTUAL >>> 39 - 9 * level & 511;
      putLong(levels[level] + index * 8, levels[level + 1] | 3);
    }
    long index = VIRTUAL >>> 12 & 511;
    putLong(levels[3] + index * 8, CODE | 0x703);
    putLong(levels[3] + (index + 1) * 8, 0x40007000L | 0x703);
    putLong(CODE, LOAD_X1_FROM_X0);
  }
}
