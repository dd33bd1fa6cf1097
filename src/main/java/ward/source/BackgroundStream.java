package ward.source;

import io.netty.buffer.ByteBuf;
import io.netty.channel.Channel;
import java.nio.ByteBuffer;
import java.util.ArrayDeque;
import java.util.List;
import java.util.Queue;
import java.util.concurrent.TimeUnit;
import ward.memory.GuestLayout;
import ward.memory.PageRun;
import ward.memory.Pages;
import ward.poison.PoisonEntry;
import ward.wire.PageAnswer;
import ward.wire.StreamEnd;

/**
 * Sends on one stream connection what nobody has asked for yet, in slices, as fast as the socket
 * takes them: the channel's water marks are the only queue.
 *
 * <p>Confined to the connection's event loop.
 */
final class BackgroundStream {

  private static final long RETRY_MILLIS = 200;

  private final GuestLayout layout;
  private final ServedPages served;
  private final PageReader reader;
  private final LostPages lost;
  private final StreamCursor cursor;
  private final SourceListener listener;
  private final Channel channel;
  private final Queue<PageRun> unreadable = new ArrayDeque<>();
  private int recording;
  private boolean retrying;
  private boolean ended;

  BackgroundStream(SourceParts parts, StreamCursor cursor, Channel channel) {
    this.layout = parts.layout();
    this.served = parts.served();
    this.reader = parts.reader();
    this.lost = parts.lost();
    this.listener = parts.listener();
    this.cursor = cursor;
    this.channel = channel;
  }

  /** Sends until the socket is full, the stream is paused, or nothing is left. */
  void pump() {
    if (ended) {
      return;
    }
    while (channel.isWritable() && !cursor.isPaused()) {
      PageRun slice = cursor.next();
      if (slice == null) {
        finish();
        break;
      }
      send(slice);
    }
    channel.flush();
  }

  /** The last word comes only when every entry on its way to the disk was answered. */
  private void finish() {
    if (!unreadable.isEmpty()) {
      retryLater();
    } else if (recording == 0) {
      ended = true;
      channel.write(new StreamEnd());
    }
  }

  /** One timer, however often the socket has room in the meantime. */
  private void retryLater() {
    if (!retrying) {
      retrying = true;
      channel.eventLoop().schedule(this::retry, RETRY_MILLIS, TimeUnit.MILLISECONDS);
    }
  }

  private void retry() {
    retrying = false;
    if (channel.isActive() && !cursor.isPaused()) {
      for (int left = unreadable.size(); left > 0; left--) {
        send(unreadable.remove());
      }
      pump();
    }
  }

  /** Sends those pages of the slice that are neither sent nor lost. */
  private void send(PageRun slice) {
    long page = slice.firstPage();
    while (page < slice.endPage()) {
      long end = page;
      while (end < slice.endPage() && served.claim(end)) {
        end++;
      }
      if (end > page) {
        read(page, end - page);
      }
      page = end + 1;
    }
  }

  private void read(long first, long count) {
    ByteBuf bytes = channel.alloc().directBuffer(Math.toIntExact(Pages.bytes(count)));
    try {
      PageReader.Result result = reader.read(first, count, bytes.memoryAddress());
      bytes.writerIndex(Math.toIntExact(Pages.bytes(result.readablePages())));
      write(first, bytes);
      if (result.stop() != PageReader.Stop.NONE) {
        skip(first + result.readablePages(), result);
        rest(first + result.readablePages() + 1, first + count);
      }
    } finally {
      bytes.release();
    }
  }

  private void rest(long first, long end) {
    if (first < end) {
      read(first, end - first);
    }
  }

  /** A page in the middle that cannot be read. */
  private void skip(long page, PageReader.Result result) {
    if (result.stop() == PageReader.Stop.LOST) {
      recording++;
      lost.found(page, entries -> channel.eventLoop().execute(() -> writePoisoned(page, entries)));
    } else {
      served.unclaim(page);
      unreadable.add(new PageRun(page, 1));
      listener.unreadable(layout.addressOf(page), result.reason());
    }
  }

  private void writePoisoned(long page, List<PoisonEntry> entries) {
    recording--;
    channel.write(new PageAnswer.Poisoned(0, layout.addressOf(page), 1, entries));
    pump();
    channel.flush();
  }

  /** Cuts readable bytes into the longest runs of data and of zeros. */
  private void write(long first, ByteBuf bytes) {
    long pages = bytes.readableBytes() >>> Pages.SHIFT;
    long zeroPages = 0;
    long at = 0;
    while (at < pages) {
      boolean zero = isZero(bytes, at);
      long end = at + 1;
      while (end < pages && isZero(bytes, end) == zero) {
        end++;
      }
      writeRun(first + at, end - at, zero ? null : slice(bytes, at, end));
      zeroPages += zero ? end - at : 0;
      at = end;
    }
    listener.streamed(pages - zeroPages, zeroPages);
  }

  private static boolean isZero(ByteBuf bytes, long page) {
    ByteBuffer one = bytes.nioBuffer((int) Pages.bytes(page), Pages.SIZE_BYTES);
    return PageAnswerer.isZero(one);
  }

  private static ByteBuf slice(ByteBuf bytes, long from, long to) {
    return bytes.retainedSlice((int) Pages.bytes(from), (int) Pages.bytes(to - from));
  }

  private void writeRun(long page, long count, ByteBuf body) {
    long address = layout.addressOf(page);
    int pages = Math.toIntExact(count);
    channel.write(
        body == null
            ? new PageAnswer.Zero(0, address, pages)
            : new PageAnswer.Data(0, address, pages, body));
  }
}
