package ward.vcpu;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.List;
import java.util.UUID;
import ward.poison.Severity;

/**
 * Memory errors as firmware tells an operating system of them: a generic error status block (ACPI
 * 6.5, 18.3.2.7.1) whose entries are memory error sections (UEFI 2.10, appendix N.2.5).
 *
 * <pre>
 *   0  block status: bit 0 uncorrectable, bits 13:4 number of entries
 *   4  offset, then length of raw data: none
 *  12  length of all entries
 *  16  severity: recoverable
 *  20  entry: 72 bytes, then its section of 80
 * 172  the next entry
 * </pre>
 *
 * <p>Little-endian whatever the guest is.
 *
 * @param errors at least one, at most 1023
 */
record ErrorRecord(List<MemoryError> errors) {

  /** What turns the block from empty into a record; written last. */
  static final int BLOCK_STATUS_BYTES = Integer.BYTES;

  private static final int HEADER_BYTES = 20;
  private static final int ENTRY_BYTES = 72;
  private static final int SECTION_BYTES = 80;
  private static final int ERRORS_MAX = 0x3ff;

  private static final int UNCORRECTABLE = 1;
  private static final int COUNT_SHIFT = 4;
  private static final int RECOVERABLE = 0;
  private static final short REVISION = 0x300;
  private static final UUID MEMORY_ERROR = UUID.fromString("a5bc1114-6f64-4ede-b863-3e83ed7c83b1");

  /** The section that the error is about; it is the only one of its entry. */
  private static final byte PRIMARY = 1;

  /** Contained, not yet consumed. */
  private static final byte LATENT = 1 << 5;

  private static final long ADDRESS_VALID = 1 << 1;
  private static final long ADDRESS_MASK_VALID = 1 << 2;
  private static final long TYPE_VALID = 1 << 14;

  ErrorRecord {
    errors = List.copyOf(errors);
    if (errors.isEmpty() || errors.size() > ERRORS_MAX) {
      throw new IllegalArgumentException(
          "a record of %d errors; 1 to %d are allowed".formatted(errors.size(), ERRORS_MAX));
    }
  }

  /** How many errors a block of this size takes. */
  static int capacity(int blockBytes) {
    return Math.min(ERRORS_MAX, (blockBytes - HEADER_BYTES) / (ENTRY_BYTES + SECTION_BYTES));
  }

  byte[] toBytes() {
    int entriesBytes = errors.size() * (ENTRY_BYTES + SECTION_BYTES);
    ByteBuffer bytes =
        ByteBuffer.allocate(HEADER_BYTES + entriesBytes).order(ByteOrder.LITTLE_ENDIAN);
    bytes.putInt(UNCORRECTABLE | errors.size() << COUNT_SHIFT);
    bytes.putInt(0).putInt(0);
    bytes.putInt(entriesBytes);
    bytes.putInt(RECOVERABLE);
    for (MemoryError error : errors) {
      putEntry(bytes, error);
      putSection(bytes, error);
    }
    return bytes.array();
  }

  private static void putEntry(ByteBuffer bytes, MemoryError error) {
    int start = bytes.position();
    putGuid(bytes, MEMORY_ERROR);
    bytes.putInt(RECOVERABLE);
    bytes.putShort(REVISION);
    bytes.put((byte) 0);
    bytes.put(error.severity() == Severity.ACTION_REQUIRED ? PRIMARY : (byte) (PRIMARY | LATENT));
    bytes.putInt(SECTION_BYTES);
    // No field-replaceable unit is named and no time given: which part failed, and when, only the
    // host knows.
    bytes.position(start + ENTRY_BYTES);
  }

  /** The first three fields of a GUID are numbers, the rest are bytes (UEFI 2.10, appendix A). */
  private static void putGuid(ByteBuffer bytes, UUID guid) {
    long fields = guid.getMostSignificantBits();
    bytes.putInt((int) (fields >>> 32)).putShort((short) (fields >>> 16)).putShort((short) fields);
    bytes.putLong(Long.reverseBytes(guid.getLeastSignificantBits()));
  }

  /** What is not known is not marked as valid: never a guess. */
  private static void putSection(ByteBuffer bytes, MemoryError error) {
    int start = bytes.position();
    boolean located = error.guestPhysicalAddress().isPresent();
    bytes.putLong(TYPE_VALID | (located ? ADDRESS_VALID | ADDRESS_MASK_VALID : 0));
    bytes.putLong(0);
    if (located) {
      bytes.putLong(error.guestPhysicalAddress().getAsLong());
      bytes.putLong(-1L << error.lsb());
    }
    bytes.position(start + SECTION_BYTES);
  }
}
