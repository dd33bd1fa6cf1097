package ward.testbed.acpi;

import java.nio.charset.StandardCharsets;

/**
 * The few ACPI machine language terms that name devices, ACPI 6.5, 20.2. Each method answers the
 * term's bytes.
 */
final class Aml {

  /** No arguments of a method is used by another: the fourth is the capabilities buffer. */
  private static final int ARGUMENT_3 = 0x6b;

  private static final int ZERO = 0x00;
  private static final int ONE = 0x01;
  private static final int NAME = 0x08;
  private static final int BYTE_PREFIX = 0x0a;
  private static final int WORD_PREFIX = 0x0b;
  private static final int DWORD_PREFIX = 0x0c;
  private static final int STRING_PREFIX = 0x0d;
  private static final int SCOPE = 0x10;
  private static final int BUFFER = 0x11;
  private static final int PACKAGE = 0x12;
  private static final int METHOD = 0x14;
  private static final int EXTENDED = 0x5b;
  private static final int DEVICE = 0x82;
  private static final int AND = 0x7b;
  private static final int CREATE_DWORD_FIELD = 0x8a;
  private static final int RETURN = 0xa4;

  private Aml() {}

  static byte[] scope(String name, byte[]... terms) {
    return packaged(SCOPE, joined(text(name), joined(terms)));
  }

  static byte[] device(String name, byte[]... terms) {
    return joined(new byte[] {EXTENDED}, packaged(DEVICE, joined(text(name), joined(terms))));
  }

  static byte[] name(String name, byte[] value) {
    return new TableBytes().u8(NAME).text(name).raw(value).toArray();
  }

  /** A list of values, which {@link #integer} and others have made. */
  static byte[] list(byte[]... values) {
    return packaged(PACKAGE, joined(new byte[] {(byte) values.length}, joined(values)));
  }

  static byte[] integer(long value) {
    TableBytes bytes = new TableBytes();
    if (value == 0 || value == 1) {
      return bytes.u8(value == 0 ? ZERO : ONE).toArray();
    }
    if (value >>> Byte.SIZE == 0) {
      return bytes.u8(BYTE_PREFIX).u8((int) value).toArray();
    }
    return value >>> Short.SIZE == 0
        ? bytes.u8(WORD_PREFIX).u16((int) value).toArray()
        : bytes.u8(DWORD_PREFIX).u32(value).toArray();
  }

  static byte[] string(String value) {
    return new TableBytes().u8(STRING_PREFIX).text(value).u8(0).toArray();
  }

  static byte[] buffer(byte[] content) {
    return packaged(BUFFER, joined(integer(content.length), content));
  }

  /** Resources of a device; the end tag's checksum 0 means that there is none (6.4.2.9). */
  static byte[] resources(byte[]... descriptors) {
    return buffer(joined(joined(descriptors), new byte[] {0x79, 0}));
  }

  /** A window of memory that can be read and written, 6.4.3.4. */
  static byte[] memory32(long address, int lengthBytes) {
    return new TableBytes().u8(0x86).u16(9).u8(1).u32(address).u32(lengthBytes).toArray();
  }

  /** I/O ports, decoded in 16 bits, 6.4.2.5. */
  static byte[] ports(int first, int count) {
    return new TableBytes().u8(0x47).u8(1).u16(first).u16(first).u8(1).u8(count).toArray();
  }

  /** An interrupt of the device's own, active high, 6.4.3.6. */
  static byte[] interrupt(int number, boolean isEdge) {
    return new TableBytes().u8(0x89).u16(6).u8(isEdge ? 3 : 1).u8(1).u32(number).toArray();
  }

  /**
   * {@code _OSC} (6.2.12) that grants, of what is asked for in the second number of capabilities,
   * those in the mask.
   */
  static byte[] granting(int capabilities) {
    byte[] field = text("CAP1");
    byte[] body =
        new TableBytes()
            .u8(CREATE_DWORD_FIELD)
            .u8(ARGUMENT_3)
            .raw(integer(Integer.BYTES))
            .raw(field)
            .u8(AND)
            .raw(field)
            .raw(integer(capabilities))
            .raw(field)
            .u8(RETURN)
            .u8(ARGUMENT_3)
            .toArray();
    int fourArgumentsSerialized = 4 | 1 << 3;
    return packaged(
        METHOD, joined(text("_OSC"), new byte[] {(byte) fourArgumentsSerialized}, body));
  }

  private static byte[] packaged(int operation, byte[] content) {
    return new TableBytes().u8(operation).raw(length(content.length)).raw(content).toArray();
  }

  /** A package's length counts its own bytes: one up to 63, else the lead byte holds 4 bits. */
  private static byte[] length(int contentBytes) {
    if (contentBytes + 1 < 1 << 6) {
      return new byte[] {(byte) (contentBytes + 1)};
    }
    int following = contentBytes + 2 < 1 << 12 ? 1 : 2;
    int total = contentBytes + 1 + following;
    TableBytes bytes = new TableBytes().u8(following << 6 | total & 0xf);
    for (int i = 0; i < following; i++) {
      bytes.u8(total >> 4 + Byte.SIZE * i);
    }
    return bytes.toArray();
  }

  private static byte[] text(String name) {
    return name.getBytes(StandardCharsets.US_ASCII);
  }

  private static byte[] joined(byte[]... parts) {
    TableBytes bytes = new TableBytes();
    for (byte[] part : parts) {
      bytes.raw(part);
    }
    return bytes.toArray();
  }
}
