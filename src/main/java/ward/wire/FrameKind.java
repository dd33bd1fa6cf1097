package ward.wire;

import java.util.Optional;
import ward.memory.GuestRegion;
import ward.memory.Pages;

/** What a frame carries, its number on the wire, and how long it may be. */
enum FrameKind {
  /** A control message, as a Protocol Buffers {@code Envelope}. */
  MESSAGE(1, 0, 4 << 20),
  /** "What is at this address?" No more pages than one DATA frame can answer. */
  REQUEST(2, 512, 0),
  /** The pages' bytes; exactly 4096 for each page. */
  DATA(3, 512, 512 << Pages.SHIFT),
  /** Every byte of the pages is zero. */
  ZERO(4, 1 << 20, 0),
  /** At least one of the pages is lost: Protocol Buffers {@code PoisonedPages}. */
  POISONED(5, 1 << 20, 64 << 10),
  /** Ask again later. */
  NOT_YET(6, 1 << 20, 0),
  /** Not all of the range is the guest's RAM. */
  OUT_OF_RANGE(7, 1 << 20, 0),
  /** The reason as UTF-8. */
  FAILED(8, 1 << 20, Reason.BYTES_MAX),
  /** The connection has sent all the pages it will. */
  STREAM_END(9, 0, 0),
  /** "Are you alive?" */
  PING(10, 0, 0),
  /** "I am." */
  PONG(11, 0, 0),
  /**
   * Some of the pages are zeros: 64 bytes of bits, the lowest of the first byte for the first page,
   * set where a page has bytes; then exactly 4096 for each of those. From protocol 1.1 on.
   */
  MIXED(12, 512, MixedPages.BITS_BYTES + (511 << Pages.SHIFT));

  /** The longest body of a kind that only a newer minor version knows; it is skipped. */
  static final int UNKNOWN_BODY_BYTES_MAX = 1 << 20;

  private final int number;
  private final int pageCountMax;
  private final int bodyBytesMax;

  FrameKind(int number, int pageCountMax, int bodyBytesMax) {
    this.number = number;
    this.pageCountMax = pageCountMax;
    this.bodyBytesMax = bodyBytesMax;
  }

  static Optional<FrameKind> of(int number) {
    return number >= 1 && number <= values().length
        ? Optional.of(values()[number - 1])
        : Optional.empty();
  }

  int number() {
    return number;
  }

  int pageCountMax() {
    return pageCountMax;
  }

  int bodyBytesMax() {
    return bodyBytesMax;
  }

  /** Whether address and page count mean something; they are 0 elsewhere. */
  boolean hasRange() {
    return pageCountMax > 0;
  }

  /** Whether it is about pages, and whoever gets it may ask for them again. */
  boolean isAnswer() {
    return hasRange() && this != REQUEST;
  }

  /**
   * @throws IllegalArgumentException if no frame of this kind may speak of that range
   */
  void requireRange(long guestPhysicalAddress, long pageCount) {
    if (pageCount < 1 || pageCount > pageCountMax) {
      throw new IllegalArgumentException(
          "%s of %d pages; 1 to %d are allowed".formatted(this, pageCount, pageCountMax));
    }
    if (!Pages.isAligned(guestPhysicalAddress)
        || guestPhysicalAddress < 0
        || guestPhysicalAddress > GuestRegion.MAX_ADDRESS - Pages.bytes(pageCount)) {
      throw new IllegalArgumentException(
          "%s of %d pages at 0x%x; a multiple of 4096 that ends below 2^52 is allowed"
              .formatted(this, pageCount, guestPhysicalAddress));
    }
  }

  /**
   * @throws IllegalArgumentException if no frame of this kind may have such a body
   */
  void requireBody(long bodyBytes, long pageCount) {
    if (bodyBytes > bodyBytesMax) {
      throw new IllegalArgumentException(
          "%s with a body of %d bytes; at most %d".formatted(this, bodyBytes, bodyBytesMax));
    }
    if (this == DATA && bodyBytes != Pages.bytes(pageCount)) {
      throw new IllegalArgumentException(
          "DATA of %d pages with a body of %d bytes; %d are needed"
              .formatted(pageCount, bodyBytes, Pages.bytes(pageCount)));
    }
    if (this == MIXED) {
      requireSomeOf(pageCount, bodyBytes - MixedPages.BITS_BYTES);
    }
  }

  private static void requireSomeOf(long pageCount, long contentBytes) {
    boolean whole = contentBytes > 0 && Pages.isAligned(contentBytes);
    if (!whole || contentBytes >= Pages.bytes(pageCount)) {
      throw new IllegalArgumentException(
          "MIXED of %d pages with %d bytes of content; those of 1 to %d pages are allowed"
              .formatted(pageCount, contentBytes, pageCount - 1));
    }
  }
}
