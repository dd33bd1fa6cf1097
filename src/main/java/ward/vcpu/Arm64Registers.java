package ward.vcpu;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * Registers of an arm64 vCPU by KVM's numbers ({@code KVM_GET_ONE_REG} in
 * Documentation/virt/kvm/api.rst), in order; one section of its state.
 *
 * <p>As bytes, each is its number (64 bits, little-endian), which says how wide it is, and its
 * value, filled up with zeros to a multiple of 8 bytes.
 */
public final class Arm64Registers {

  /** The name of the section. */
  public static final String SECTION = "kvm_one_reg";

  static final int STEP_BYTES = Long.BYTES;

  /** Of a 64-bit core register; the low bits are its offset in {@code struct kvm_regs} / 4. */
  private static final long CORE = 0x6030_0000_0010_0000L;

  private static final long SYSTEM = 0x6030_0000_0013_0000L;

  static final long SP = CORE + 0x3e;

  /** The next instruction's address. */
  public static final long PC = CORE + 0x40;

  /** As SPSR_EL1 has it. */
  public static final long PSTATE = CORE + 0x42;

  /** The stack pointer of EL1. */
  public static final long SP_EL1 = CORE + 0x44;

  static final long ELR_EL1 = CORE + 0x46;
  static final long SPSR_EL1 = CORE + 0x48;
  static final long ID_AA64MMFR1_EL1 = system(0, 0, 7, 1);
  static final long SCTLR_EL1 = system(0, 1, 0, 0);
  static final long TTBR0_EL1 = system(0, 2, 0, 0);
  static final long TTBR1_EL1 = system(0, 2, 0, 1);
  static final long TCR_EL1 = system(0, 2, 0, 2);
  static final long ESR_EL1 = system(0, 5, 2, 0);
  static final long FAR_EL1 = system(0, 6, 0, 0);
  static final long VBAR_EL1 = system(0, 12, 0, 0);

  private final Map<Long, byte[]> values = new LinkedHashMap<>();

  /** None yet. */
  public Arm64Registers() {}

  /** X0 to X30. */
  public static long x(int number) {
    return CORE + 2L * number;
  }

  /** Of those with op0 3. */
  private static long system(int op1, int crn, int crm, int op2) {
    return SYSTEM | 3 << 14 | op1 << 11 | crn << 7 | crm << 3 | op2;
  }

  /**
   * Reads a section of a state.
   *
   * @throws IOException if it is not made of whole registers, each once
   */
  static Arm64Registers of(byte[] section) throws IOException {
    Arm64Registers registers = new Arm64Registers();
    ByteBuffer bytes = ByteBuffer.wrap(section).order(ByteOrder.LITTLE_ENDIAN);
    while (bytes.remaining() >= Long.BYTES) {
      registers.read(bytes);
    }
    return registers;
  }

  private void read(ByteBuffer bytes) throws IOException {
    long id = bytes.getLong();
    if (!KvmOneReg.hasKnownSize(id) || bytes.remaining() < paddedBytes(id)) {
      throw new IOException(
          "section %s: register 0x%x is followed by %d bytes, which is no value of it"
              .formatted(SECTION, id, bytes.remaining()));
    }
    byte[] value = new byte[KvmOneReg.sizeBytes(id)];
    int start = bytes.position();
    bytes.get(value).position(start + paddedBytes(id));
    if (values.put(id, value) != null) {
      throw new IOException("section %s has register 0x%x twice".formatted(SECTION, id));
    }
  }

  private static int paddedBytes(long id) {
    return Math.max(KvmOneReg.sizeBytes(id), Long.BYTES);
  }

  /** Gives a register of 64 bits its value. */
  public Arm64Registers put(long id, long value) {
    return put(
        id, ByteBuffer.allocate(Long.BYTES).order(ByteOrder.LITTLE_ENDIAN).putLong(value).array());
  }

  Arm64Registers put(long id, byte[] value) {
    if (value.length != KvmOneReg.sizeBytes(id)) {
      throw new IllegalArgumentException(
          "register 0x%x has %d bytes, not %d"
              .formatted(id, KvmOneReg.sizeBytes(id), value.length));
    }
    values.put(id, value.clone());
    return this;
  }

  /** By number, in the order in which they were put in. */
  Map<Long, byte[]> values() {
    return values;
  }

  /** The section. */
  public byte[] toBytes() {
    int size = values.keySet().stream().mapToInt(id -> Long.BYTES + paddedBytes(id)).sum();
    ByteBuffer bytes = ByteBuffer.allocate(size).order(ByteOrder.LITTLE_ENDIAN);
    values.forEach(
        (id, value) -> {
          int end = bytes.position() + Long.BYTES + paddedBytes(id);
          bytes.putLong(id).put(value).position(end);
        });
    return bytes.array();
  }
}
