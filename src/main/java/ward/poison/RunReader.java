package ward.poison;

import java.nio.ByteBuffer;
import ward.memory.PageRun;

/** The way back from {@link RunWriter}; spends no memory on what is not allowed. */
public final class RunReader {

  private static final int NUMBER_BITS_MAX = 63;

  private final ByteBuffer bytes;
  private final long count;
  private long end; // of the last run

  /**
   * @param bytes read up to their end
   * @param count of extents that there can be: numbers are below it
   */
  public RunReader(ByteBuffer bytes, long count) {
    this.bytes = bytes;
    this.count = count;
  }

  public boolean hasNext() {
    return bytes.hasRemaining();
  }

  /**
   * The next run, which is behind the last one.
   *
   * @throws IllegalArgumentException if it is empty, cut off or out of range
   */
  public PageRun next() {
    long gap = number();
    long length = number();
    // Subtracted, not added: no sum can overflow.
    if (gap > count - end || length < 1 || length > count - end - gap) {
      throw new IllegalArgumentException(
          "a run of %d lost extents, %d extents after extent %d; 1 or more below extent %d are allowed"
              .formatted(length, gap, end, count));
    }
    PageRun run = new PageRun(end + gap, length);
    end = run.endPage();
    return run;
  }

  private long number() {
    long number = 0;
    for (int shift = 0; shift < NUMBER_BITS_MAX; shift += 7) {
      if (!bytes.hasRemaining()) {
        throw new IllegalArgumentException("a number in a run of lost extents is cut off");
      }
      byte next = bytes.get();
      number |= (next & 0x7fL) << shift;
      if (next >= 0) {
        return number;
      }
    }
    throw new IllegalArgumentException("a number in a run of lost extents has more than 63 bits");
  }
}
