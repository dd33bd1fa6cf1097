package ward.wire;

import io.netty.buffer.ByteBuf;
import io.netty.util.ReferenceCounted;
import java.util.List;
import ward.memory.Pages;
import ward.poison.PoisonEntry;

/**
 * What the source knows about a range of guest memory. Answers other than data hold for up to 2^20
 * pages.
 *
 * <p>Constructors throw IllegalArgumentException for what the protocol does not allow.
 */
public sealed interface PageAnswer extends PageFrame {

  /** The most pages in one {@link Data}. */
  int DATA_PAGES_MAX = FrameKind.DATA.pageCountMax();

  /** The most pages in one answer without data. */
  int PAGES_MAX = FrameKind.ZERO.pageCountMax();

  /**
   * The bytes of the pages.
   *
   * <p>Whoever receives one owns it and must release it, once; releasing it is releasing its body.
   * (Netty's SimpleChannelInboundHandler does so after its method, unless it is told not to.)
   * Whoever writes one gives it away, also if the write fails. A received body is one piece of
   * direct memory: it has a {@link ByteBuf#memoryAddress()}.
   *
   * @param pageCount 1 to 512
   * @param checksum CRC32C of the bytes and where they belong, as {@link FrameHeader} has it; of a
   *     received one, the sum that its body has
   * @param body exactly {@code pageCount * 4096} readable bytes
   */
  record Data(long requestId, long guestPhysicalAddress, int pageCount, int checksum, ByteBuf body)
      implements PageAnswer, ReferenceCounted {
    public Data {
      FrameKind.DATA.requireRange(guestPhysicalAddress, pageCount);
      FrameKind.DATA.requireBody(body.readableBytes(), pageCount);
    }

    /** Sums the bytes up. To be made as soon as they are read: what changes later is found. */
    public Data(long requestId, long guestPhysicalAddress, int pageCount, ByteBuf body) {
      this(
          requestId,
          guestPhysicalAddress,
          pageCount,
          Checksum.ofContent(FrameKind.DATA.number(), guestPhysicalAddress, pageCount, body),
          body);
    }

    @Override
    public int refCnt() {
      return body.refCnt();
    }

    @Override
    public Data retain() {
      body.retain();
      return this;
    }

    @Override
    public Data retain(int increment) {
      body.retain(increment);
      return this;
    }

    @Override
    public Data touch() {
      body.touch();
      return this;
    }

    @Override
    public Data touch(Object hint) {
      body.touch(hint);
      return this;
    }

    @Override
    public boolean release() {
      return body.release();
    }

    @Override
    public boolean release(int decrement) {
      return body.release(decrement);
    }
  }

  /** Every byte of the pages is zero. */
  record Zero(long requestId, long guestPhysicalAddress, int pageCount) implements PageAnswer {
    public Zero {
      FrameKind.ZERO.requireRange(guestPhysicalAddress, pageCount);
    }
  }

  /**
   * The range holds lost memory. Pages of it that no entry covers were not answered.
   *
   * @param entries at least one; each loses a page of the range, and may reach beyond it
   */
  record Poisoned(
      long requestId, long guestPhysicalAddress, int pageCount, List<PoisonEntry> entries)
      implements PageAnswer {
    public Poisoned {
      FrameKind.POISONED.requireRange(guestPhysicalAddress, pageCount);
      entries = List.copyOf(entries);
      if (entries.isEmpty() || entries.size() > ControlMessage.ENTRIES_MAX) {
        throw new IllegalArgumentException(
            "POISONED with %d entries; 1 to %d are allowed"
                .formatted(entries.size(), ControlMessage.ENTRIES_MAX));
      }
      entries.forEach(entry -> requireOverlap(entry, guestPhysicalAddress, pageCount));
    }

    private static void requireOverlap(PoisonEntry entry, long address, int pageCount) {
      long start = entry.guestPhysicalAddress();
      // Subtracted, not added: an extent may end at 2^63.
      boolean touches =
          start < address + Pages.bytes(pageCount) && address - start < 1L << entry.pageShift();
      if (!touches) {
        throw new IllegalArgumentException(
            "POISONED for %d pages at 0x%x with an entry at 0x%x of 0x%x bytes, outside of it"
                .formatted(pageCount, address, start, 1L << entry.pageShift()));
      }
    }
  }

  /** The source cannot say yet: ask again later. */
  record NotYet(long requestId, long guestPhysicalAddress, int pageCount) implements PageAnswer {
    public NotYet {
      FrameKind.NOT_YET.requireRange(guestPhysicalAddress, pageCount);
    }
  }

  /** The range is not the guest's RAM throughout. */
  record OutOfRange(long requestId, long guestPhysicalAddress, int pageCount)
      implements PageAnswer {
    public OutOfRange {
      FrameKind.OUT_OF_RANGE.requireRange(guestPhysicalAddress, pageCount);
    }
  }

  /**
   * The source could not find out. The memory is neither known to be lost nor known to be whole.
   *
   * @param reason for people; cut to 1024 bytes of UTF-8
   */
  record Failed(long requestId, long guestPhysicalAddress, int pageCount, String reason)
      implements PageAnswer {
    public Failed {
      FrameKind.FAILED.requireRange(guestPhysicalAddress, pageCount);
      reason = Reason.shortened(reason);
    }
  }

  /**
   * What an answer becomes whose body is not what was sent. Nobody sends one. Nothing is known of
   * the pages: ask again.
   *
   * @param sentChecksum what came with it
   * @param arrivedChecksum what its bytes give
   */
  record Damaged(
      long requestId,
      long guestPhysicalAddress,
      int pageCount,
      int sentChecksum,
      int arrivedChecksum)
      implements PageAnswer {
    public Damaged {
      FrameKind.ZERO.requireRange(guestPhysicalAddress, pageCount);
      if (sentChecksum == arrivedChecksum) {
        throw new IllegalArgumentException(
            "nothing is damaged: both checksums are " + Checksum.text(sentChecksum));
      }
    }

    /** Both sums, for people. */
    public String disagreement() {
      return "checksum %s was sent, the bytes give %s"
          .formatted(Checksum.text(sentChecksum), Checksum.text(arrivedChecksum));
    }
  }
}
