package ward.wire;

import io.netty.buffer.ByteBuf;
import java.util.BitSet;
import java.util.Optional;
import ward.memory.Pages;

/**
 * Cuts a buffer of received bytes into frames, in place: a request and the bytes of pages are read
 * where they lie, without an object for each; every other kind becomes a {@link Frame}.
 *
 * <p>The same rules and the same exceptions as {@link FrameDecoder}'s. One thread's.
 */
public final class FrameScanner {

  private static final int REQUEST = FrameKind.REQUEST.number();
  private static final int DATA = FrameKind.DATA.number();
  private static final int MIXED = FrameKind.MIXED.number();

  private final ByteBuf in;
  private final FrameContent content;
  private final String peerName;
  private final FrameSums sums = new FrameSums();

  private boolean headerRead;
  private int kind;
  private int bodyBytes;
  private long guestPhysicalAddress;
  private int pageCount;
  private int sentSum;
  private long requestId;
  private int bodyIndex;
  private boolean whole;

  /**
   * @param in direct memory, read and written from outside between calls of {@link #next()}
   * @param peer that has said Hello
   * @param peerName for messages
   */
  public FrameScanner(ByteBuf in, ProtocolVersion peer, String peerName) {
    this.in = in;
    this.content = new FrameContent(peer);
    this.peerName = peerName;
  }

  /**
   * Steps to the next frame, if all of it is there. What the frame before left in the buffer may be
   * overwritten afterwards.
   *
   * @throws ProtocolException if the protocol has no such frame
   * @throws TransmissionException if its header, or its body where that cannot be asked for again,
   *     is not what was sent
   */
  public boolean next() {
    if (!headerRead && !readHeader() || in.readableBytes() < bodyBytes) {
      return false;
    }
    headerRead = false;
    bodyIndex = in.readerIndex();
    whole =
        sentSum == sums.ofContent(kind, guestPhysicalAddress, pageCount, in, bodyIndex, bodyBytes);
    in.skipBytes(bodyBytes);
    return true;
  }

  private boolean readHeader() {
    if (in.readableBytes() < FrameHeader.BYTES) {
      return false;
    }
    int at = in.readerIndex();
    int arrived = sums.ofHeader(in, at);
    int sent = in.getIntLE(at + FrameHeader.SUMMED_BYTES);
    if (arrived != sent) {
      throw named(TransmissionException.disagreement("a frame's header", sent, arrived));
    }
    long lengthAndKind = in.getLongLE(at + FrameHeader.LENGTH_AND_KIND_AT);
    long pagesAndSum = in.getLongLE(at + FrameHeader.PAGES_AND_SUM_AT);
    kind = FrameHeader.kindNumberIn(lengthAndKind);
    guestPhysicalAddress = in.getLongLE(at + FrameHeader.ADDRESS_AT);
    pageCount = (int) pagesAndSum;
    sentSum = (int) (pagesAndSum >>> Integer.SIZE);
    requestId = in.getLongLE(at + FrameHeader.REQUEST_AT);
    requireAllowed(at, lengthAndKind);
    in.skipBytes(FrameHeader.BYTES);
    headerRead = true;
    return true;
  }

  private void requireAllowed(int at, long lengthAndKind) {
    long bytes = FrameHeader.bodyBytesIn(lengthAndKind);
    try {
      if (isPlain(lengthAndKind)) {
        FrameKind known = kind == DATA ? FrameKind.DATA : FrameKind.REQUEST;
        known.requireRange(guestPhysicalAddress, Integer.toUnsignedLong(pageCount));
        known.requireBody(bytes, pageCount);
      } else {
        content.requireAllowed(FrameHeader.readFrom(in.slice(at, FrameHeader.BYTES)));
      }
    } catch (IllegalArgumentException e) {
      throw new ProtocolException(peerName + ": " + e.getMessage(), e);
    } catch (ProtocolException e) {
      throw new ProtocolException(peerName + ": " + e.getMessage(), e);
    }
    bodyBytes = (int) bytes;
  }

  private boolean isPlain(long lengthAndKind) {
    return !FrameHeader.usesReserved(lengthAndKind) && (kind == DATA || kind == REQUEST);
  }

  private TransmissionException named(TransmissionException e) {
    return new TransmissionException(peerName + ": " + e.getMessage());
  }

  /** Whether this frame is the bytes of pages, as they were sent. */
  public boolean isPages() {
    return kind == DATA && whole;
  }

  /** Whether this frame is pages of which some are zeros, as they were sent. */
  public boolean isMixed() {
    return kind == MIXED && whole;
  }

  /**
   * What such a frame holds; its bytes are there until the next step.
   *
   * @throws ProtocolException if the bits are not of as many pages as the bytes
   */
  public MixedPages mixed() {
    BitSet data = BitSet.valueOf(in.internalNioBuffer(bodyIndex, MixedPages.BITS_BYTES));
    int sent = bodyBytes - MixedPages.BITS_BYTES >>> Pages.SHIFT;
    if (data.length() > pageCount || data.cardinality() != sent) {
      throw new ProtocolException(
          "%s: MIXED of %d pages at 0x%x with the bytes of %d and bits for %d, the last for page %d"
              .formatted(
                  peerName,
                  pageCount,
                  guestPhysicalAddress,
                  sent,
                  data.cardinality(),
                  data.length() - 1));
    }
    return new MixedPages(
        requestId, guestPhysicalAddress, pageCount, data, bodyAddress() + MixedPages.BITS_BYTES);
  }

  /** Whether this frame asks for pages. */
  public boolean isRequest() {
    return kind == REQUEST && whole;
  }

  /** Of a request, or of pages: what the answer repeats. */
  public long requestId() {
    return requestId;
  }

  /** Of a request, or of pages: the first byte's, a multiple of 4096. */
  public long guestPhysicalAddress() {
    return guestPhysicalAddress;
  }

  /** Of a request, or of pages: 1 to 512. */
  public int pageCount() {
    return pageCount;
  }

  /** Of pages: where their bytes are in the buffer's memory, until the next step. */
  public long bodyAddress() {
    return in.memoryAddress() + bodyIndex;
  }

  /**
   * This frame as an object; empty for one that only a newer peer has, and that is skipped. Bytes
   * of pages are retained in it.
   */
  public Optional<Frame> frame() {
    FrameHeader header =
        new FrameHeader(
            bodyBytes,
            kind,
            0, // was looked at before
            guestPhysicalAddress,
            Integer.toUnsignedLong(pageCount),
            sentSum,
            requestId);
    try {
      return content.read(header, in.slice(bodyIndex, bodyBytes));
    } catch (ProtocolException e) {
      throw new ProtocolException(peerName + ": " + e.getMessage(), e);
    } catch (TransmissionException e) {
      throw named(e);
    }
  }

  /** Whether nothing of a frame is in the buffer that was not stepped over. */
  public boolean isBetweenFrames() {
    return !headerRead && !in.isReadable();
  }

  /**
   * Bytes at the front of the buffer, there or to come, before those of pages if the frame has any:
   * its header, unless that was read already, or what says which pages they are.
   */
  public int bytesAheadOfPages() {
    if (!headerRead) {
      return FrameHeader.BYTES;
    }
    return kind == MIXED ? MixedPages.BITS_BYTES : 0;
  }

  /** Of the frame whose header was read last; 0 before the first. */
  public int bodyBytes() {
    return bodyBytes;
  }

  /** Bytes that the frame at the front of the buffer still lacks, at the least. */
  public int missingBytes() {
    int needed = headerRead ? bodyBytes : FrameHeader.BYTES;
    return Math.max(0, needed - in.readableBytes());
  }

  /**
   * For a connection that has ended.
   *
   * @throws TransmissionException if it ended inside a frame
   */
  public void requireFinished() {
    if (headerRead || in.isReadable()) {
      throw new TransmissionException(
          "%s: the connection ended inside %s".formatted(peerName, unfinished()));
    }
  }

  private String unfinished() {
    return headerRead
        ? "%s: %d of %d body bytes came"
            .formatted(
                FrameKind.of(kind).map(Enum::name).orElse("a skipped frame"),
                in.readableBytes(),
                bodyBytes)
        : "a frame's header: %d of %d bytes came".formatted(in.readableBytes(), FrameHeader.BYTES);
  }
}
