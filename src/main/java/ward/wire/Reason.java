package ward.wire;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.nio.ByteBuffer;
import java.nio.CharBuffer;
import java.nio.charset.CodingErrorAction;

/** Texts for people that go over the wire and end in a log. */
final class Reason {

  static final int BYTES_MAX = 1024;

  private Reason() {}

  /**
   * The text, cut to 1024 bytes of UTF-8 rather than refused: it explains an error and must not
   * become one. Control characters become spaces, so that a peer cannot write lines of our log.
   */
  static String shortened(String text) {
    ByteBuffer bytes = ByteBuffer.allocate(BYTES_MAX);
    UTF_8
        .newEncoder()
        .onMalformedInput(CodingErrorAction.REPLACE)
        .encode(CharBuffer.wrap(text.replaceAll("\\p{Cntrl}", " ")), bytes, true);
    return new String(bytes.array(), 0, bytes.position(), UTF_8);
  }
}
