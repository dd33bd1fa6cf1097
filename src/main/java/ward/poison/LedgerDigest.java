package ward.poison;

import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.Arrays;
import java.util.HexFormat;
import ward.memory.PageSet;

/**
 * A fingerprint of what is lost for a guest: two hosts whose digests agree know the same losses.
 *
 * <p>SHA-256 over the frames as the fewest runs, ascending, as {@link RunWriter} writes them. So it
 * does not depend on how large the entries were, in which order they came, or who reported them. A
 * run takes two bytes mostly: where SHA-256 is Java, as under a JVM with the first compiler alone,
 * 125,000 runs would take 24 ms by 16 bytes each, and take 8.
 *
 * @param bytes 32 of them
 */
public record LedgerDigest(byte[] bytes) {

  /** Bytes of a digest. */
  public static final int SIZE_BYTES = 32;

  /** Of runs, summed up at a time. */
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
    RunWriter some = new RunWriter();
    frames.forEachRun(
        run -> {
          some.add(run);
          if (some.sizeBytes() >= BATCH_BYTES) {
            sha.update(some.take());
          }
        });
    return new LedgerDigest(sha.digest(some.take()));
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
