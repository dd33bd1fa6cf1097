package ward.poison;

import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import ward.memory.PageRun;

/** The way back from {@link RunWriter}. */
final class RunReader {

  private static final int NUMBER_BITS_MAX = 63;

  private RunReader() {}

  /**
   * The runs up to the end of the bytes.
   *
   * @param last the largest number that an extent may have
   * @throws IllegalArgumentException if there are none, or one is empty, cut off or out of range
   */
  static List<PageRun> runs(ByteBuffer bytes, long last) {
    List<PageRun> runs = new ArrayList<>();
    long end = 0;
    while (bytes.hasRemaining()) {
      PageRun run = runAfter(end, number(bytes), number(bytes), last);
      runs.add(run);
      end = run.endPage();
    }
    if (runs.isEmpty()) {
      throw new IllegalArgumentException("no run of lost extents; at least one is needed");
    }
    return runs;
  }

  private static PageRun runAfter(long end, long gap, long count, long last) {
    // Subtracted, not added: no sum can overflow.
    if (gap > last - end || count < 1 || count > last - end - gap + 1) {
      throw new IllegalArgumentException(
          "a run of %d lost extents, %d extents after extent %d; 1 or more up to extent %d are allowed"
              .formatted(count, gap, end, last));
    }
    return new PageRun(end + gap, count);
  }

  private static long number(ByteBuffer bytes) {
    long number = 0;
    for (int shift = 0; shift < NUMBER_BITS_MAX; shift += 7) {
      if (!bytes.hasRemaining()) {
        throw new IllegalArgumentException("a number that is cut off");
      }
      byte next = bytes.get();
      number |= (next & 0x7fL) << shift;
      if (next >= 0) {
        return number;
      }
    }
    throw new IllegalArgumentException("a number of more than 63 bits");
  }
}
