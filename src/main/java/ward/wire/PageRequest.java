package ward.wire;

/**
 * "What is at this address?" Whoever asks for several pages at once asks as many questions, whose
 * numbers follow one another: page {@code i} of them is answered under {@code requestId + i}, and
 * an answer about several pages at once under its first page's number.
 *
 * @param pageCount 1 to 512: what one answer with data can hold
 */
public record PageRequest(long requestId, long guestPhysicalAddress, int pageCount)
    implements PageFrame {

  /** The most pages in one request. */
  public static final int PAGE_COUNT_MAX = FrameKind.REQUEST.pageCountMax();

  /**
   * @throws IllegalArgumentException if the range is unaligned, too long or above 2^52
   */
  public PageRequest {
    FrameKind.REQUEST.requireRange(guestPhysicalAddress, pageCount);
  }
}
