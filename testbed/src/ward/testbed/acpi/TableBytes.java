package ward.testbed.acpi;

import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;

/** Little-endian numbers, one after the other, as all of ACPI has them. */
final class TableBytes {

  private static final int SYSTEM_MEMORY = 0;
  private static final int DOUBLE_WORD_ACCESS = 3;
  private static final int QUAD_WORD_ACCESS = 4;

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

  /** A generic address structure (ACPI 6.5, 5.2.3.2) of a 64-bit register in memory. */
  TableBytes register64(long address) {
    return u8(SYSTEM_MEMORY).u8(Long.SIZE).u8(0).u8(QUAD_WORD_ACCESS).u64(address);
  }

  /** The same of a 32-bit register. */
  TableBytes register32(long address) {
    return u8(SYSTEM_MEMORY).u8(Integer.SIZE).u8(0).u8(DOUBLE_WORD_ACCESS).u64(address);
  }

  int size() {
    return bytes.size();
  }

  byte[] toArray() {
    return bytes.toByteArray();
  }
}
