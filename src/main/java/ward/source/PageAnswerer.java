package ward.source;

import java.nio.ByteBuffer;
import java.util.List;
import java.util.function.LongConsumer;
import ward.memory.GuestLayout;
import ward.memory.Pages;
import ward.poison.PoisonEntry;
import ward.wire.FrameWriter;
import ward.wire.PageAnswer;

/** Answers demand faults, on the urgent connection's thread; a page's bytes are copied once. */
final class PageAnswerer {

  private static final ByteBuffer ZEROS = ByteBuffer.allocateDirect(Pages.SIZE_BYTES);

  private final GuestLayout layout;
  private final ServedPages served;
  private final PageReader reader;
  private final LostPages lost;
  private final SourceListener listener;
  private final LongConsumer onFault;

  /**
   * @param onFault given the first page of every request
   */
  PageAnswerer(SourceParts parts, LongConsumer onFault) {
    this.onFault = onFault;
    this.layout = parts.layout();
    this.served = parts.served();
    this.reader = parts.reader();
    this.lost = parts.lost();
    this.listener = parts.listener();
  }

  /** Says what could not be said at once, on whatever thread learns it. */
  interface Later {
    void say(PageAnswer answer);
  }

  /** Answers every page of a request with a frame of its own. */
  void answer(
      long requestId, long guestPhysicalAddress, int pageCount, FrameWriter out, Later later) {
    long first = layout.runOrNone(guestPhysicalAddress, pageCount);
    if (first == GuestLayout.NONE) {
      out.frame(new PageAnswer.OutOfRange(requestId, guestPhysicalAddress, pageCount));
      return;
    }
    onFault.accept(first);
    for (long page = first; page < first + pageCount; page++) {
      answerPage(requestId, page, out, later);
    }
    listener.answered(pageCount);
  }

  private void answerPage(long requestId, long page, FrameWriter out, Later later) {
    if (served.isLost(page)) {
      lost.found(page, entries -> later.say(poisoned(requestId, page, entries)));
      return;
    }
    PageReader.Result result = reader.read(page, 1, out.roomForData(Pages.SIZE_BYTES));
    switch (result.stop()) {
      case NONE -> writeContent(requestId, page, out);
      case LOST -> lost.found(page, entries -> later.say(poisoned(requestId, page, entries)));
      case FAILED -> {
        long address = layout.addressOf(page);
        listener.unreadable(address, result.reason());
        out.frame(new PageAnswer.Failed(requestId, address, 1, result.reason()));
      }
    }
  }

  /** The page's bytes are in the room already; zeros stay there unsent. */
  private void writeContent(long requestId, long page, FrameWriter out) {
    served.claim(page);
    long address = layout.addressOf(page);
    if (isZero(out.inRoom(Pages.SIZE_BYTES))) {
      out.zero(requestId, address, 1);
    } else {
      out.data(requestId, address, 1);
    }
  }

  private PageAnswer poisoned(long requestId, long page, List<PoisonEntry> entries) {
    return new PageAnswer.Poisoned(requestId, layout.addressOf(page), 1, entries);
  }

  /** Whether a page's bytes are all zero. */
  static boolean isZero(ByteBuffer page) {
    return page.mismatch(ZEROS) < 0;
  }
}
