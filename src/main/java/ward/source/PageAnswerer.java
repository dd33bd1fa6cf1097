package ward.source;

import java.nio.ByteBuffer;
import java.util.List;
import java.util.function.LongConsumer;
import ward.kernel.ZeroPages;
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

  /**
   * Answers a request for one page, or for several, each of which has a number of its own, by as
   * few frames as their content allows.
   */
  void answer(
      long requestId, long guestPhysicalAddress, int pageCount, FrameWriter out, Later later) {
    long first = layout.runOrNone(guestPhysicalAddress, pageCount);
    if (first == GuestLayout.NONE) {
      out.frame(new PageAnswer.OutOfRange(requestId, guestPhysicalAddress, pageCount));
      return;
    }
    onFault.accept(first);
    int done = 0;
    int last = pageCount;
    while (done < pageCount) {
      // Where content changes often, little is read for nothing.
      int most = Math.min(pageCount - done, 2 * last);
      last = answerSome(requestId + done, first + done, most, out, later);
      done += last;
    }
    listener.answered(pageCount);
  }

  /** Answers leading pages of a run; says how many. */
  private int answerSome(long requestId, long page, int most, FrameWriter out, Later later) {
    int alike = most == 1 ? 0 : readAlike(page, most, out);
    if (alike < 2) {
      answerPage(requestId, page, out, later);
      return 1;
    }
    writeContent(requestId, page, alike, out);
    return alike;
  }

  /** Reads leading pages; says how many have content, or have none. */
  private int readAlike(long page, int most, FrameWriter out) {
    int known = 0;
    while (known < most && !served.isLost(page + known)) {
      known++;
    }
    if (known < 2) {
      return known;
    }
    long room = out.roomForData((int) Pages.bytes(known));
    long readable = reader.read(page, known, room).readablePages();
    return readable == 0 ? 0 : (int) ZeroPages.alike(room, readable);
  }

  private void answerPage(long requestId, long page, FrameWriter out, Later later) {
    if (served.isLost(page)) {
      lost.found(page, entries -> later.say(poisoned(requestId, page, entries)));
      return;
    }
    PageReader.Result result = reader.read(page, 1, out.roomForData(Pages.SIZE_BYTES));
    switch (result.stop()) {
      case NONE -> writeContent(requestId, page, 1, out);
      case LOST -> lost.found(page, entries -> later.say(poisoned(requestId, page, entries)));
      case FAILED -> {
        long address = layout.addressOf(page);
        listener.unreadable(address, result.reason());
        out.frame(new PageAnswer.Failed(requestId, address, 1, result.reason()));
      }
    }
  }

  /** Pages whose bytes are in the room already; zeros stay there unsent. */
  private void writeContent(long requestId, long page, int pageCount, FrameWriter out) {
    for (long each = page; each < page + pageCount; each++) {
      served.claim(each);
    }
    long address = layout.addressOf(page);
    if (isZero(out.inRoom(Pages.SIZE_BYTES))) {
      out.zero(requestId, address, pageCount);
    } else {
      out.data(requestId, address, pageCount);
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
