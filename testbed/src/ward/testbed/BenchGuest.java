package ward.testbed;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import ward.memory.GuestLayout;
import ward.memory.GuestRegion;
import ward.memory.PageRun;
import ward.memory.PageSet;
import ward.memory.Pages;

/**
 * The guest of a {@link BenchCase}: a file of pages that are all different, or zero, which of them
 * are lost, and the order in which threads touch them. Both sides get the same.
 */
final class BenchGuest {

  private static final int CLUSTER_MEAN = 8;
  private static final int ZERO_RUN_MEAN = 32;
  private static final int CHUNK_PAGES = 256;

  private final BenchCase of;
  private final long seed;
  private final GuestLayout layout;
  private final PageSet zero = new PageSet();
  private final PageSet lost = new PageSet();

  BenchGuest(BenchCase of, long seed) {
    this.of = of;
    this.seed = seed;
    layout = new GuestLayout("bench", List.of(new GuestRegion(0, of.bytes(), 0)));
    SplittableRandom random = new SplittableRandom(seed);
    drawZeros(random);
    drawLosses(random);
  }

  /** In runs, as the free memory of a guest lies. */
  private void drawZeros(SplittableRandom random) {
    long left = (long) of.pages() * of.zeroPercent() / 100;
    if (left == of.pages()) {
      zero.add(new PageRun(0, left));
      return;
    }
    while (left > 0) {
      long first = random.nextInt(of.pages());
      long end = Math.min(of.pages(), first + 1 + random.nextInt(2 * ZERO_RUN_MEAN));
      for (; first < end && left > 0; first++) {
        left -= zero.contains(first) ? 0 : 1;
        zero.add(first);
      }
    }
  }

  private void drawLosses(SplittableRandom random) {
    if (of.clustered()) {
      drawClusters(random);
      return;
    }
    while (lost.size() < of.lostPages()) {
      lost.add(random.nextInt(of.pages()));
    }
  }

  /** Clusters and gaps in turn, so long that there are as many lost pages as asked for. */
  private void drawClusters(SplittableRandom random) {
    int left = of.lostPages();
    int healthy = of.pages() - left;
    for (int page = 0; left > 0; ) {
      int cluster = Math.min(left, 1 + random.nextInt(2 * CLUSTER_MEAN - 1));
      lost.add(new PageRun(page, cluster));
      left -= cluster;
      page += cluster;
      int gap = left == 0 ? 0 : Math.min(healthy, 1 + random.nextInt(CLUSTER_MEAN / 4 * 2 - 1));
      healthy -= gap;
      page += gap;
    }
  }

  GuestLayout layout() {
    return layout;
  }

  PageSet lost() {
    return lost;
  }

  boolean isLost(long page) {
    return lost.contains(page);
  }

  /** The first word of a healthy page, in the machine's byte order. */
  long firstWord(long page) {
    return zero.contains(page) ? 0 : mixed(page * Pages.SIZE_BYTES + seed);
  }

  /** Steele, Lea and Flood's splitmix64: quick, and no two pages alike. */
  private static long mixed(long value) {
    long z = value * 0x9e3779b97f4a7c15L + 0x9e3779b97f4a7c15L;
    z = (z ^ (z >>> 30)) * 0xbf58476d1ce4e5b9L;
    z = (z ^ (z >>> 27)) * 0x94d049bb133111ebL;
    return z ^ (z >>> 31);
  }

  /** Writes the memory, lost pages too: what is there must never be seen. Zeros are holes. */
  void writeTo(Path file) throws IOException {
    try (FileChannel memory =
        FileChannel.open(file, StandardOpenOption.CREATE, StandardOpenOption.WRITE)) {
      memory.write(ByteBuffer.allocate(1), of.bytes() - 1);
      ByteBuffer chunk =
          ByteBuffer.allocateDirect(CHUNK_PAGES * Pages.SIZE_BYTES).order(ByteOrder.nativeOrder());
      for (long page = 0; page < of.pages(); page++) {
        if (!zero.contains(page)) {
          fill(chunk, page);
        }
        if (chunk.position() > 0 && (!chunk.hasRemaining() || zero.contains(page + 1))) {
          flush(chunk, memory, page + 1);
        }
      }
      flush(chunk, memory, of.pages());
    }
  }

  private void fill(ByteBuffer chunk, long page) {
    long at = page * Pages.SIZE_BYTES + seed;
    for (int i = 0; i < Pages.SIZE_BYTES; i += Long.BYTES) {
      chunk.putLong(mixed(at + i));
    }
  }

  private static void flush(ByteBuffer chunk, FileChannel memory, long endPage) throws IOException {
    long offset = Pages.bytes(endPage) - chunk.position();
    chunk.flip();
    while (chunk.hasRemaining()) {
      memory.write(chunk, offset + chunk.position());
    }
    chunk.clear();
  }

  /** The order of the touches: every page once, or the first of what comes at a time. */
  int[] order() {
    SplittableRandom random = new SplittableRandom(seed + 1);
    int unit = of.memory().unitPages();
    int[] pages = new int[of.pages() / unit];
    for (int i = 0; i < pages.length; i++) {
      int other = random.nextInt(i + 1);
      pages[i] = pages[other];
      pages[other] = i * unit;
    }
    return Arrays.copyOf(pages, of.touches());
  }
}
