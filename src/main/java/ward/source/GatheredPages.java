package ward.source;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.Unpooled;
import java.nio.ByteBuffer;
import java.util.BitSet;
import ward.kernel.ZeroPages;
import ward.memory.PageRun;
import ward.memory.Pages;
import ward.wire.MixedPages;

/**
 * The pages of a slice that go out together: the bytes of those that are not zeros, side by side
 * behind a bit for each page, as they are sent.
 *
 * <p>One thread's. Guest memory is read into it by others, and never looked at here.
 */
final class GatheredPages {

  /** Of the bits, which the bytes follow. */
  static final int MIXED_INDEX = 0;

  private static final int BYTES_INDEX = MIXED_INDEX + MixedPages.BITS_BYTES;

  /** A run of data or of zeros. */
  interface EachRun {
    /**
     * @param index of the bytes of data
     */
    void accept(PageRun run, boolean zero, int index);
  }

  private final ByteBuf bytes =
      Unpooled.wrappedBuffer(
          ByteBuffer.allocateDirect(BYTES_INDEX + (int) Pages.bytes(Slices.PAGES_MAX)));
  private long firstPage;
  private int pages;
  private int dataPages;

  /** Forgets what there was; what is added from now on follows a page and each other. */
  void begin(long page) {
    firstPage = page;
    pages = 0;
    dataPages = 0;
    bytes.setZero(MIXED_INDEX, MixedPages.BITS_BYTES);
  }

  /** Adds pages that nobody has to read. */
  void addZeros(long count) {
    pages += (int) count;
  }

  /** Where the bytes of the next pages are to be read to. */
  long roomAddress() {
    return bytes.memoryAddress() + BYTES_INDEX + Pages.bytes(dataPages);
  }

  /** Adds pages that were read. */
  void add(long count) {
    long bits = bytes.memoryAddress() + MIXED_INDEX;
    dataPages += (int) ZeroPages.pack(roomAddress(), count, bits, pages);
    pages += (int) count;
  }

  long firstPage() {
    return firstPage;
  }

  int pages() {
    return pages;
  }

  int dataPages() {
    return dataPages;
  }

  ByteBuf bytes() {
    return bytes;
  }

  /** Of bits and bytes. */
  int mixedBytes() {
    return MixedPages.BITS_BYTES + (int) Pages.bytes(dataPages);
  }

  /** In their order, each as long as can be. */
  void forEachRun(EachRun each) {
    BitSet data = BitSet.valueOf(bytes.nioBuffer(MIXED_INDEX, MixedPages.BITS_BYTES));
    int index = BYTES_INDEX;
    int page = 0;
    while (page < pages) {
      boolean zero = !data.get(page);
      int count = MixedPages.alike(data, page, pages);
      each.accept(new PageRun(firstPage + page, count), zero, index);
      index += zero ? 0 : (int) Pages.bytes(count);
      page += count;
    }
  }
}
