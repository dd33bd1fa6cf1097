package ward.poison;

import java.nio.ByteBuffer;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.Arrays;
import java.util.HexFormat;
import ward.memory.PageSet;

/**
 * A fingerprint of what is lost for a guest: two hosts whose digests agree know the same losses.
 *
 * <p>SHA-256 over the frames as the fewest runs, ascending, each as two big-endian 64-bit numbers:
 * the first guest frame number and the count. So it does not depend on how large the entries were,
 * in which order they came, or who reported them.
 *
 * @param bytes 32 of them
 */
public record LedgerDigest(byte[] bytes) {

  /** Bytes of a digest. */
  public static final int SIZE_BYTES = 32;

  /** Of runs, summed up at a time; a multiple of a run's 16. */
  private static final int BATCH_BYTES = 8192;

  /**
   * @throws IllegalArgumentException unless there are 32 bytes
   */
  public LedgerDigest {
    if (bytes.length != SIZE_BYTES) {
      throw new IllegalArgumentException(
          "a ledger digest of %d bytes; %d are needed".formatted(bytes.length, SIZE_BYTES));
    }
    bytes = bytes.clone();
  }

  /** As the constructor: for bytes that came from a peer. */
  public static LedgerDigest of(byte[] bytes) {
    return new LedgerDigest(bytes);
  }

  /**
   * @param hex 64 hexadecimal digits, as {@link #toString()} prints them
   * @throws IllegalArgumentException if it is anything else
   */
  public static LedgerDigest parse(String hex) {
    return new LedgerDigest(HexFormat.of().parseHex(hex));
  }

  /** Of a set of guest frame numbers: what a ledger that lists just these would answer. */
  public static LedgerDigest ofFrames(PageSet frames) {
    MessageDigest sha = sha256();
    ByteBuffer some = ByteBuffer.allocate(BATCH_BYTES);
    frames.forEachRun(
        run -> {
          if (!some.hasRemaining()) {
            sha.update(some.flip());
            some.clear();
          }
          some.putLong(run.firstPage()).putLong(run.pageCount());
        });
    sha.update(some.flip());
    return new LedgerDigest(sha.digest());
  }

  private static MessageDigest sha256() {
    try {
      return MessageDigest.getInstance("SHA-256");
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("every Java platform has SHA-256", e);
    }
  }

  /** A copy. */
  @Override
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
