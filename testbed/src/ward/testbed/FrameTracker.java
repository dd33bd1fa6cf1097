package ward.testbed;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.HashMap;
import java.util.Map;

/** Knows which frame each byte of one direction of a connection belongs to. */
final class FrameTracker {

  static final int PREFACE_BYTES = 8;
  static final int HEADER_BYTES = 36;

  private static final int KIND_AT = 4;
  private static final int ADDRESS_AT = 8;

  private final ByteBuffer header =
      ByteBuffer.allocate(HEADER_BYTES).order(ByteOrder.LITTLE_ENDIAN);
  private final Map<Integer, Long> framesOfKind = new HashMap<>();
  private long position;
  private long bodyStart;
  private long bodyEnd;
  private int frameKind;
  private long address;

  /**
   * Bytes next to each other that are part of the same.
   *
   * @param start of them, in this direction of the connection
   * @param bodyOffset where they start in the frame's body; -1 in a preface or a header
   * @param frameKind and the next: of the frame; 0 in a preface or a header
   * @param frameNumber counted for each kind, from 1
   */
  record Span(long start, int length, long bodyOffset, int frameKind, long frameNumber) {}

  /** The part of what comes next that is of one kind; at least one byte. */
  Span next(byte[] bytes, int from, int end) {
    Span span;
    if (position < PREFACE_BYTES) {
      span = outside((int) Math.min(PREFACE_BYTES - position, end - from));
    } else if (position < bodyEnd) {
      int length = (int) Math.min(bodyEnd - position, end - from);
      span =
          new Span(position, length, position - bodyStart, frameKind, framesOfKind.get(frameKind));
    } else {
      span = outside(Math.min(header.remaining(), end - from));
      header.put(bytes, from, span.length());
    }
    position += span.length();
    if (!header.hasRemaining()) {
      beginBody();
    }
    return span;
  }

  /** The kind of the frame whose header came last; 0 before the first. */
  int frameKind() {
    return frameKind;
  }

  /** And the guest-physical address in it. */
  long address() {
    return address;
  }

  private Span outside(int length) {
    return new Span(position, length, -1, 0, 0);
  }

  private void beginBody() {
    frameKind = Byte.toUnsignedInt(header.get(KIND_AT));
    address = header.getLong(ADDRESS_AT);
    framesOfKind.merge(frameKind, 1L, Long::sum);
    bodyStart = position;
    bodyEnd = position + Integer.toUnsignedLong(header.getInt(0));
    header.clear();
  }
}
