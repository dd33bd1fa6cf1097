package ward.poison;

import java.util.Arrays;
import java.util.HexFormat;

/** 32 bytes that are equal if and only if two ledgers hold the same poison. */
public final class LedgerDigest {

  private static final int LENGTH_BYTES = 32;

  private final byte[] bytes;

  private LedgerDigest(byte[] bytes) {
    this.bytes = bytes;
  }

  /**
   * @throws IllegalArgumentException if there are not 32 bytes
   */
  public static LedgerDigest of(byte[] bytes) {
    if (bytes.length != LENGTH_BYTES) {
      throw new IllegalArgumentException(
          "ledger digest of %d bytes; %d are needed".formatted(bytes.length, LENGTH_BYTES));
    }
    return new LedgerDigest(bytes.clone());
  }

  /** A copy. */
  public byte[] bytes() {
    return bytes.clone();
  }

  @Override
  public boolean equals(Object other) {
    return other instanceof LedgerDigest that && Arrays.equals(bytes, that.bytes);
  }

  @Override
  public int hashCode() {
    return Arrays.hashCode(bytes);
  }

  @Override
  public String toString() {
    return HexFormat.of().formatHex(bytes);
  }
}
