package ward.wire;

import io.netty.buffer.ByteBuf;
import java.nio.ByteBuffer;
import ward.memory.Pages;

/**
 * Appends frames to a buffer that is sent as a whole: requests, and pages whose bytes are put into
 * the buffer by the kernel, without an object for each. One thread's.
 */
public final class FrameWriter {

  private static final int HEADER_BYTES = FrameHeader.BYTES;

  private final ByteBuf out;
  private final FrameSums sums = new FrameSums();

  /**
   * @param out direct memory; grows when it must
   */
  public FrameWriter(ByteBuf out) {
    this.out = out;
  }

  /** Appends a question for pages; see {@link PageRequest}. */
  public void request(long requestId, long guestPhysicalAddress, int pageCount) {
    out.ensureWritable(HEADER_BYTES);
    header(FrameKind.REQUEST, requestId, guestPhysicalAddress, pageCount, 0);
    out.writerIndex(out.writerIndex() + HEADER_BYTES);
  }

  /** Appends that pages are zeros; see {@link PageAnswer.Zero}. */
  public void zero(long requestId, long guestPhysicalAddress, int pageCount) {
    out.ensureWritable(HEADER_BYTES);
    header(FrameKind.ZERO, requestId, guestPhysicalAddress, pageCount, 0);
    out.writerIndex(out.writerIndex() + HEADER_BYTES);
  }

  /**
   * Makes room for pages.
   *
   * @return where their bytes go; the address holds until the next call of another method
   */
  public long roomForData(int lengthBytes) {
    out.ensureWritable(HEADER_BYTES + lengthBytes);
    return out.memoryAddress() + out.writerIndex() + HEADER_BYTES;
  }

  /** The bytes in the room, to look at. */
  public ByteBuffer inRoom(int lengthBytes) {
    return out.internalNioBuffer(out.writerIndex() + HEADER_BYTES, lengthBytes);
  }

  /**
   * Appends the bytes that are in the room. They are summed up here: what changes later is found.
   */
  public void data(long requestId, long guestPhysicalAddress, int pageCount) {
    int bodyBytes = Math.toIntExact(Pages.bytes(pageCount));
    header(FrameKind.DATA, requestId, guestPhysicalAddress, pageCount, bodyBytes);
    out.writerIndex(out.writerIndex() + HEADER_BYTES + bodyBytes);
  }

  /**
   * Appends the header of pages whose bytes lie elsewhere, and follow it by another way. They are
   * summed up here, as {@link #data} does.
   *
   * @param index of the bytes
   * @return how many bytes have to follow
   */
  public int dataHeader(
      long requestId, long guestPhysicalAddress, int pageCount, ByteBuf bytes, int index) {
    out.ensureWritable(HEADER_BYTES);
    int bodyBytes = Math.toIntExact(Pages.bytes(pageCount));
    header(FrameKind.DATA, requestId, guestPhysicalAddress, pageCount, bytes, index, bodyBytes);
    out.writerIndex(out.writerIndex() + HEADER_BYTES);
    return bodyBytes;
  }

  /**
   * Appends the header of pages of which some are zeros; the same otherwise.
   *
   * @param index of the bits, which the bytes of the pages follow, as {@link MixedPages} has them
   * @param bodyBytes of both
   */
  public void mixedHeader(
      long guestPhysicalAddress, int pageCount, ByteBuf bytes, int index, int bodyBytes) {
    out.ensureWritable(HEADER_BYTES);
    header(FrameKind.MIXED, 0, guestPhysicalAddress, pageCount, bytes, index, bodyBytes);
    out.writerIndex(out.writerIndex() + HEADER_BYTES);
  }

  /**
   * Appends any frame but {@link PageAnswer.Data}.
   *
   * @throws IllegalArgumentException if the protocol has no such frame
   */
  public void frame(Frame frame) {
    FrameBytes.write(frame, out);
  }

  /** Of a body that is where it belongs, behind the header. */
  private void header(
      FrameKind kind, long requestId, long guestPhysicalAddress, int pageCount, int bodyBytes) {
    int bodyAt = out.writerIndex() + HEADER_BYTES;
    header(kind, requestId, guestPhysicalAddress, pageCount, out, bodyAt, bodyBytes);
  }

  private void header(
      FrameKind kind,
      long requestId,
      long guestPhysicalAddress,
      int pageCount,
      ByteBuf body,
      int bodyAt,
      int bodyBytes) {
    kind.requireRange(guestPhysicalAddress, pageCount);
    int at = out.writerIndex();
    int sum =
        sums.ofContent(kind.number(), guestPhysicalAddress, pageCount, body, bodyAt, bodyBytes);
    out.setLongLE(
        at + FrameHeader.LENGTH_AND_KIND_AT, FrameHeader.lengthAndKind(bodyBytes, kind.number()));
    out.setLongLE(at + FrameHeader.ADDRESS_AT, guestPhysicalAddress);
    out.setLongLE(at + FrameHeader.PAGES_AND_SUM_AT, FrameHeader.pagesAndSum(pageCount, sum));
    out.setLongLE(at + FrameHeader.REQUEST_AT, requestId);
    out.setIntLE(at + FrameHeader.SUMMED_BYTES, sums.ofHeader(out, at));
  }
}
