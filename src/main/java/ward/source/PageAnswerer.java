package ward.source;

import io.netty.buffer.ByteBuf;
import io.netty.channel.Channel;
import java.nio.ByteBuffer;
import java.util.List;
import java.util.OptionalLong;
import ward.memory.GuestLayout;
import ward.memory.Pages;
import ward.poison.PoisonEntry;
import ward.wire.PageAnswer;
import ward.wire.PageRequest;

/** Answers demand faults, on the urgent connection's event loop. */
final class PageAnswerer {

  private static final ByteBuffer ZEROS = ByteBuffer.allocateDirect(Pages.SIZE_BYTES);

  private final GuestLayout layout;
  private final ServedPages served;
  private final PageReader reader;
  private final LostPages lost;
  private final SourceListener listener;

  PageAnswerer(SourceParts parts) {
    this.layout = parts.layout();
    this.served = parts.served();
    this.reader = parts.reader();
    this.lost = parts.lost();
    this.listener = parts.listener();
  }

  /** Answers every page of the request with a frame of its own. */
  void answer(PageRequest request, Channel channel) {
    OptionalLong first = layout.runAt(request.guestPhysicalAddress(), request.pageCount());
    if (first.isEmpty()) {
      channel.write(
          new PageAnswer.OutOfRange(
              request.requestId(), request.guestPhysicalAddress(), request.pageCount()));
      return;
    }
    for (long page = first.getAsLong(); page < first.getAsLong() + request.pageCount(); page++) {
      answerPage(request.requestId(), page, channel);
    }
    listener.answered(request.pageCount());
  }

  private void answerPage(long requestId, long page, Channel channel) {
    if (served.isLost(page)) {
      lost.found(page, entries -> writePoisoned(requestId, page, entries, channel));
      return;
    }
    ByteBuf body = channel.alloc().directBuffer(Pages.SIZE_BYTES, Pages.SIZE_BYTES);
    PageReader.Result result = reader.read(page, 1, body.memoryAddress());
    switch (result.stop()) {
      case NONE -> writeContent(requestId, page, body.writerIndex(Pages.SIZE_BYTES), channel);
      case LOST -> {
        body.release();
        lost.found(page, entries -> writePoisoned(requestId, page, entries, channel));
      }
      case FAILED -> {
        body.release();
        long address = layout.addressOf(page);
        listener.unreadable(address, result.reason());
        channel.write(new PageAnswer.Failed(requestId, address, 1, result.reason()));
      }
    }
  }

  private void writeContent(long requestId, long page, ByteBuf body, Channel channel) {
    served.claim(page);
    long address = layout.addressOf(page);
    if (isZero(body.nioBuffer())) {
      body.release();
      channel.write(new PageAnswer.Zero(requestId, address, 1));
    } else {
      channel.write(new PageAnswer.Data(requestId, address, 1, body));
    }
  }

  private void writePoisoned(
      long requestId, long page, List<PoisonEntry> entries, Channel channel) {
    channel.writeAndFlush(new PageAnswer.Poisoned(requestId, layout.addressOf(page), 1, entries));
  }

  /** Whether a page's bytes are all zero. */
  static boolean isZero(ByteBuffer page) {
    return page.mismatch(ZEROS.duplicate()) < 0;
  }
}
