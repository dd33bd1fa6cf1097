package ward.wire;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.ByteBufUtil;

/**
 * The first bytes of each side on each connection: {@code WARD}, then CR LF SUB LF, which a
 * transfer that translates line ends, or stops at an end-of-text mark, would not leave whole.
 */
final class Preface {

  private static final byte[] PREFACE = {'W', 'A', 'R', 'D', 0x0d, 0x0a, 0x1a, 0x0a};

  static final int BYTES = PREFACE.length;

  /**
   * What the way may have done to Ward's preface. Everything else that begins a connection differs
   * in more bits: a translated line end alone in three.
   */
  static final int DAMAGED_BITS_MAX = 1;

  private static final int SHOWN_BYTES_MAX = 16;

  private Preface() {}

  static void writeTo(ByteBuf out) {
    out.writeBytes(PREFACE);
  }

  /** In how many bits the readable bytes differ from the preface, as far as they go. */
  static int wrongBits(ByteBuf in) {
    int readable = Math.min(in.readableBytes(), BYTES);
    int wrong = 0;
    for (int i = 0; i < readable; i++) {
      wrong += Integer.bitCount((in.getByte(in.readerIndex() + i) ^ PREFACE[i]) & 0xFF);
    }
    return wrong;
  }

  /** What a peer that is not Ward said first, in hexadecimal. */
  static String shown(ByteBuf in) {
    int shownBytes = Math.min(in.readableBytes(), SHOWN_BYTES_MAX);
    String digits = ByteBufUtil.hexDump(in, in.readerIndex(), shownBytes);
    return digits.replaceAll("..(?=.)", "$0 ");
  }
}
