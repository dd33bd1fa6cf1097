package ward.testbed.acpi;

import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;

/** Little-endian numbers, one after the other, as all of ACPI has them. */
final class TableBytes {

  private static final int SYSTEM_MEMORY = 0;
  private static final int SYSTEM_IO = 1;

  private final ByteArrayOutputStream bytes = new ByteArrayOutputStream();

  TableBytes u8(int value) {
    bytes.write(value);
    return this;
  }

  TableBytes u16(int value) {
    return number(value, Short.BYTES);
  }

  TableBytes u32(long value) {
    return number(value, Integer.BYTES);
  }

  TableBytes u64(long value) {
    return number(value, Long.BYTES);
  }

  private TableBytes number(long value, int sizeBytes) {
    for (int i = 0; i < sizeBytes; i++) {
      bytes.write((int) (value >>> (Byte.SIZE * i)));
    }
    return this;
  }

  TableBytes zeros(int count) {
    for (int i = 0; i < count; i++) {
      bytes.write(0);
    }
    return this;
  }

  TableBytes text(String ascii) {
    return raw(ascii.getBytes(StandardCharsets.US_ASCII));
  }

  TableBytes raw(byte[] content) {
    bytes.writeBytes(content);
    return this;
  }

  /**
   * A generic address structure (ACPI 6.5, 5.2.3.2) of a register in memory, accessed as a whole.
   *
   * @param bits 8, 16, 32 or 64
   */
  TableBytes register(long address, int bits) {
    return register(SYSTEM_MEMORY, address, bits);
  }

  /** The same of an I/O port. */
  TableBytes port(int number, int bits) {
    return register(SYSTEM_IO, number, bits);
  }

  private TableBytes register(int space, long address, int bits) {
    int accessSize = Integer.numberOfTrailingZeros(bits / Byte.SIZE) + 1;
    return u8(space).u8(bits).u8(0).u8(accessSize).u64(address);
  }

  int size() {
    return bytes.size();
  }

  byte[] toArray() {
    return bytes.toByteArray();
  }
}
