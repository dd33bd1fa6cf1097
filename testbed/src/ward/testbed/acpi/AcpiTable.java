package ward.testbed.acpi;

/**
 * One system description table, ACPI 6.5, 5.2.6: a header of 36 bytes, then what the signature
 * says.
 *
 * @param signature four letters
 * @param revision of this kind of table
 */
record AcpiTable(String signature, int revision, byte[] body) {

  static final int HEADER_BYTES = 36;

  private static final String OEM_ID = "WARD  ";
  private static final String OEM_TABLE_ID = "WARD    ";
  private static final String CREATOR_ID = "WARD";
  private static final int CHECKSUM = 9;

  /** The whole table; its bytes add up to 0. */
  byte[] toBytes() {
    byte[] bytes =
        new TableBytes()
            .text(signature)
            .u32(HEADER_BYTES + body.length)
            .u8(revision)
            .u8(0)
            .text(OEM_ID)
            .text(OEM_TABLE_ID)
            .u32(1)
            .text(CREATOR_ID)
            .u32(1)
            .raw(body)
            .toArray();
    bytes[CHECKSUM] = complementOfSum(bytes, bytes.length);
    return bytes;
  }

  /** What must be added to the first bytes for a sum of 0 modulo 256. */
  static byte complementOfSum(byte[] bytes, int lengthBytes) {
    int sum = 0;
    for (int i = 0; i < lengthBytes; i++) {
      sum += bytes[i];
    }
    return (byte) -sum;
  }
}
