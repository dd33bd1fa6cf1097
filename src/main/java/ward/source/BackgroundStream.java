package ward.source;

import io.netty.buffer.ByteBuf;
import java.util.List;
import ward.memory.GuestLayout;
import ward.memory.PageRun;
import ward.memory.PageSet;
import ward.memory.Pages;
import ward.poison.PoisonEntry;
import ward.wire.Frame;
import ward.wire.MixedPages;
import ward.wire.PageAnswer;
import ward.wire.StreamEnd;

/**
 * Sends on one stream connection what nobody has asked for yet, in slices, as fast as the socket
 * takes them: there is no other queue, and one slice in memory.
 *
 * <p>Confined to turns of its own, in which it waits for the socket. Between two slices others have
 * theirs: a loss is said while the stream goes on.
 */
final class BackgroundStream {

  private static final long RETRY_MILLIS = 200;

  /** Losses on their way to the disk; while it is full, the stream waits with them. */
  static final int RECORDING_MAX = 64;

  /** Of a frame without its body: all that zeros cost. */
  private static final long FRAME_BYTES = 36;

  /** What it sends on. */
  interface Line {
    /**
     * Sends pages, after all that was said before, and waits until they are on their way.
     *
     * @param index of their bytes
     * @return false if the connection is over
     */
    boolean pages(long guestPhysicalAddress, int pageCount, ByteBuf bytes, int index);

    /** Whether the destination reads pages of which some are zeros, in one frame. */
    boolean takesMixed();

    /**
     * Sends those, in the same way.
     *
     * @param index of the bits, which the bytes of the pages follow, as {@link MixedPages} has them
     * @param bodyBytes of both
     */
    boolean mixed(
        long guestPhysicalAddress, int pageCount, ByteBuf bytes, int index, int bodyBytes);

    /** Sent with the next pages, or flushed. */
    void say(Frame frame);

    void flush();
  }

  /** One after the other, from any thread. */
  interface Turns {
    void take(Runnable turn);

    void later(Runnable turn, long delayMillis);
  }

  private final GuestLayout layout;
  private final ServedPages served;
  private final PageReader reader;
  private final LostPages lost;
  private final StreamCursor cursor;
  private final Pace pace;
  private final SourceListener listener;
  private final Line line;
  private final Turns turns;
  private final GatheredPages gathered = new GatheredPages();
  private PageSet unreadable = new PageSet();
  private PageRun rest; // of the slice that is being sent; null between two
  private int recording;
  private boolean pumping;
  private boolean retrying;
  private boolean ended;

  BackgroundStream(SourceParts parts, StreamCursor cursor, Pace pace, Line line, Turns turns) {
    this.layout = parts.layout();
    this.served = parts.served();
    this.reader = parts.reader();
    this.lost = parts.lost();
    this.listener = parts.listener();
    this.cursor = cursor;
    this.pace = pace;
    this.line = line;
    this.turns = turns;
  }

  /** Sends from now on, until the stream is paused or nothing is left. From any thread. */
  void pump() {
    turns.take(this::goOn);
  }

  private void goOn() {
    if (!pumping) {
      oneMore();
    }
  }

  private void oneMore() {
    pumping = sendNext();
    if (pumping) {
      goOnWhenDue();
    }
  }

  private void goOnWhenDue() {
    long waitMillis = pace.waitMillis();
    if (waitMillis == 0) {
      turns.take(this::oneMore);
    } else {
      turns.later(this::oneMore, waitMillis);
    }
  }

  private boolean sendNext() {
    if (ended || cursor.isPaused() || recording >= RECORDING_MAX) {
      return false;
    }
    PageRun next = nextRun();
    if (next == null) {
      finish();
    } else {
      send(next);
    }
    line.flush();
    return next != null;
  }

  /** As much of a slice as may go out at once. */
  private PageRun nextRun() {
    PageRun slice = rest != null ? rest : cursor.next();
    rest = null;
    int most = pace.slicePages();
    if (slice == null || slice.pageCount() <= most) {
      return slice;
    }
    rest = new PageRun(slice.firstPage() + most, slice.pageCount() - most);
    return new PageRun(slice.firstPage(), most);
  }

  /** The last word comes only when every entry on its way to the disk was answered. */
  private void finish() {
    if (!unreadable.isEmpty()) {
      retryLater();
    } else if (recording == 0) {
      ended = true;
      line.say(new StreamEnd());
    }
  }

  /** One timer, however often the stream is asked to go on in the meantime. */
  private void retryLater() {
    if (!retrying) {
      retrying = true;
      turns.later(this::retry, RETRY_MILLIS);
    }
  }

  private void retry() {
    retrying = false;
    if (!ended && !cursor.isPaused()) {
      PageSet again = unreadable;
      unreadable = new PageSet();
      again.forEachRun(this::sendInSlices);
      goOn();
    }
  }

  /** Neighbours, which may be of several regions. */
  private void sendInSlices(PageRun run) {
    long page = run.firstPage();
    while (page < run.endPage()) {
      long most = Math.min(Slices.PAGES_MAX, layout.pagesLeftInRegion(page));
      long count = Math.min(most, run.endPage() - page);
      send(new PageRun(page, count));
      page += count;
    }
  }

  /** Sends those pages of the slice that are neither sent nor lost. */
  private void send(PageRun run) {
    long page = run.firstPage();
    while (page < run.endPage()) {
      long claimed = served.claim(page, run.endPage());
      if (claimed > 0) {
        read(page, claimed);
      }
      page += claimed + 1;
    }
  }

  /** What was never written is not read: see {@link EmptyPages}. */
  private void read(long first, long count) {
    long end = first + count;
    long page = first;
    gathered.begin(page);
    while (page < end) {
      long empty = reader.emptyPages(page, end - page);
      gathered.addZeros(empty);
      page += empty > 0 ? empty : readFilled(page, reader.filledPages(page, end - page));
    }
    write();
  }

  /** Answers how many pages have been dealt with. */
  private long readFilled(long first, long count) {
    PageReader.Result result = reader.read(first, count, gathered.roomAddress());
    gathered.add(result.readablePages());
    if (result.stop() == PageReader.Stop.NONE) {
      return count;
    }
    long bad = first + result.readablePages();
    write();
    skip(bad, result);
    gathered.begin(bad + 1);
    return result.readablePages() + 1;
  }

  /** A page in the middle that cannot be read. */
  private void skip(long page, PageReader.Result result) {
    if (result.stop() == PageReader.Stop.LOST) {
      recording++;
      lost.found(page, entries -> turns.take(() -> sayPoisoned(page, entries)));
    } else {
      served.unclaim(page);
      unreadable.add(page);
      listener.unreadable(layout.addressOf(page), result.reason());
    }
  }

  private void sayPoisoned(long page, List<PoisonEntry> entries) {
    recording--;
    line.say(new PageAnswer.Poisoned(0, layout.addressOf(page), 1, entries));
    line.flush();
    goOn();
  }

  /** Sends what was gathered, as one frame if the other side reads such a one. */
  private void write() {
    int zeroPages = gathered.pages() - gathered.dataPages();
    if (gathered.dataPages() > 0 && zeroPages > 0 && line.takesMixed()) {
      writeMixed();
    } else {
      gathered.forEachRun(this::writeRun);
    }
    listener.streamed(gathered.dataPages(), zeroPages);
  }

  private void writeMixed() {
    long address = layout.addressOf(gathered.firstPage());
    int bodyBytes = gathered.mixedBytes();
    pace.spend(FRAME_BYTES + bodyBytes);
    goesOn(
        line.mixed(
            address, gathered.pages(), gathered.bytes(), GatheredPages.MIXED_INDEX, bodyBytes));
  }

  private void writeRun(PageRun run, boolean zero, int index) {
    long address = layout.addressOf(run.firstPage());
    int count = (int) run.pageCount();
    pace.spend(FRAME_BYTES + (zero ? 0 : Pages.bytes(count)));
    if (zero) {
      line.say(new PageAnswer.Zero(0, address, count));
    } else {
      goesOn(line.pages(address, count, gathered.bytes(), index));
    }
  }

  /** What a connection that is over lacks is sent by another. */
  private void goesOn(boolean sent) {
    ended |= !sent;
  }
}
