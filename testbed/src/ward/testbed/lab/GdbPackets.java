package ward.testbed.lab;

import java.nio.charset.StandardCharsets;
import java.util.ArrayDeque;
import java.util.HexFormat;
import java.util.Queue;

/**
 * The packets of the GDB remote protocol: {@code $payload#checksum}, the checksum the sum of the
 * payload's bytes in two hexadecimal digits (GDB manual, appendix "Remote Protocol").
 *
 * <p>An instance takes apart what comes in, in whatever pieces it comes. Not safe for threads.
 */
final class GdbPackets {

  private static final HexFormat HEX = HexFormat.of();

  private final StringBuilder pending = new StringBuilder();
  private final Queue<String> complete = new ArrayDeque<>();

  static byte[] encode(String payload) {
    int sum = payload.chars().sum() & 0xff;
    return "$%s#%02x".formatted(payload, sum).getBytes(StandardCharsets.ISO_8859_1);
  }

  /** Little-endian bytes in hexadecimal, as registers and memory are written. */
  static String hex(long value) {
    StringBuilder digits = new StringBuilder();
    for (int shift = 0; shift < Long.SIZE; shift += Byte.SIZE) {
      digits.append(HEX.toHexDigits((byte) (value >>> shift)));
    }
    return digits.toString();
  }

  /**
   * @throws IllegalArgumentException if it is not hexadecimal, as an error's {@code E14} is not
   */
  static byte[] bytes(String hex) {
    return HEX.parseHex(hex);
  }

  /** Takes the next bytes; acknowledgements between packets are left out. */
  void accept(byte[] bytes, int length) {
    pending.append(new String(bytes, 0, length, StandardCharsets.ISO_8859_1));
    int start = pending.indexOf("$");
    int end = pending.indexOf("#", Math.max(start, 0));
    while (start >= 0 && end >= 0 && end + 2 < pending.length()) {
      complete.add(pending.substring(start + 1, end));
      pending.delete(0, end + 3);
      start = pending.indexOf("$");
      end = pending.indexOf("#", Math.max(start, 0));
    }
  }

  /** The next payload; null if none is complete. */
  String poll() {
    return complete.poll();
  }
}
