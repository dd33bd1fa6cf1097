package ward.wire;

/** A frame about a range of guest memory. */
public sealed interface PageFrame extends Frame permits PageRequest, PageAnswer {

  /**
   * The first page's; chosen by who asks, repeated by an answer. 0 in an answer that nobody asked
   * for.
   */
  long requestId();

  /** Of the range's first byte; a multiple of 4096. */
  long guestPhysicalAddress();

  /** Pages of 4 KiB, at least 1. */
  int pageCount();
}
