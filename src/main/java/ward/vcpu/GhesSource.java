package ward.vcpu;

/**
 * Where in a guest's RAM its firmware keeps one generic hardware error source, GHESv2 of ACPI 6.5,
 * 18.3.2.8: a block for the record, a register that says where the block is, and one in which the
 * guest acknowledges what it has read. All addresses are guest-physical.
 *
 * @param notification how the guest learns that there is a record
 * @param statusAddressRegister 8 bytes which hold {@code statusBlock}; aligned to 8
 * @param readAckRegister 8 bytes; aligned to 8. Bit 0 is set when the guest is done with the block
 * @param statusBlock of the record; aligned to 8
 * @param statusBlockBytes at least one record of one section ({@value #BLOCK_BYTES_MIN}), at most
 *     {@value #BLOCK_BYTES_MAX}, more than which Linux does not read
 */
public record GhesSource(
    Notification notification,
    long statusAddressRegister,
    long readAckRegister,
    long statusBlock,
    int statusBlockBytes) {

  /** A record of one memory error. */
  public static final int BLOCK_BYTES_MIN = 172;

  /** {@code GHES_ESTATUS_MAX_SIZE} in drivers/acpi/apei/ghes.c. */
  public static final int BLOCK_BYTES_MAX = 0x10000;

  /** Bytes of each register. */
  public static final int REGISTER_BYTES = Long.BYTES;

  /** The bit of the read-ack register that the guest sets. */
  public static final long READ_ACK = 1;

  /** ACPI 6.5, table 18.14: hardware error notification. */
  public enum Notification {
    /** The guest looks by itself, again and again: for errors that nothing has consumed. */
    POLLED(0),
    /** An arm64 synchronous external abort: for errors that an access ran into. */
    SYNCHRONOUS_EXTERNAL_ABORT(8);

    private final int number;

    Notification(int number) {
      this.number = number;
    }

    /** As it stands in the HEST. */
    public int number() {
      return number;
    }
  }

  /**
   * @throws IllegalArgumentException naming the number that is not allowed
   */
  public GhesSource {
    requireAligned("statusAddressRegister", statusAddressRegister);
    requireAligned("readAckRegister", readAckRegister);
    requireAligned("statusBlock", statusBlock);
    if (statusBlockBytes < BLOCK_BYTES_MIN || statusBlockBytes > BLOCK_BYTES_MAX) {
      throw new IllegalArgumentException(
          "statusBlockBytes %d; %d to %d are allowed"
              .formatted(statusBlockBytes, BLOCK_BYTES_MIN, BLOCK_BYTES_MAX));
    }
  }

  private static void requireAligned(String name, long address) {
    if (address <= 0 || address % Long.BYTES != 0) {
      throw new IllegalArgumentException(
          "%s 0x%x; a positive multiple of 8 is allowed".formatted(name, address));
    }
  }

  /** How many errors one record can hold: one in each of its sections. */
  public int errorsMax() {
    return ErrorRecord.capacity(statusBlockBytes);
  }
}
