package ward.cli;

import java.util.Locale;
import picocli.CommandLine.TypeConversionException;

/**
 * Bytes a second, as people write them: {@code 100M}, {@code 2G}, {@code 65536}.
 *
 * @param bytesPerSecond 4096 to 2^40; 0 for {@code none}
 */
record ByteRate(long bytesPerSecond) {

  private static final String SUFFIXES = "KMGT";
  private static final int SHIFT_PER_SUFFIX = 10;

  /** A page: less would never send one. */
  private static final long LEAST = 4096;

  static final long MOST = 1L << 40;
  private static final String NONE = "none";

  static ByteRate parse(String text) {
    if (text.equals(NONE)) {
      return new ByteRate(0);
    }
    try {
      long bytes = bytes(text);
      if (bytes >= LEAST && bytes <= MOST) {
        return new ByteRate(bytes);
      }
    } catch (NumberFormatException | ArithmeticException e) {
      // told below, with what is allowed
    }
    throw new TypeConversionException(
        "\"%s\" is no rate; bytes a second from 4K to 1T (K, M, G and T are 2^10, 2^20, 2^30 and 2^40), or none"
            .formatted(text));
  }

  /**
   * @throws NumberFormatException unless it is a number, perhaps with a suffix
   * @throws ArithmeticException if it is too large
   */
  static long bytes(String asWritten) {
    String text = asWritten.strip().toUpperCase(Locale.ROOT);
    int suffix = text.isEmpty() ? -1 : SUFFIXES.indexOf(text.charAt(text.length() - 1));
    String digits = suffix < 0 ? text : text.substring(0, text.length() - 1);
    int shift = SHIFT_PER_SUFFIX * (suffix + 1);
    return Math.multiplyExact(NumberText.parse(digits), 1L << shift);
  }
}
