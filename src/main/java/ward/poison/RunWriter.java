package ward.poison;

import java.util.Arrays;
import ward.memory.PageRun;

/**
 * Runs of lost extents as a few bytes, on the wire and in the journal.
 *
 * <p>Each is two numbers: how many extents are between the end of the last run (or 0) and this one,
 * and how many are in it. A number takes 7 bits a byte, the lowest first; every byte but a number's
 * last has its top bit set. So a run that is near the last one takes two bytes, however long ago
 * and wherever it was found.
 */
public final class RunWriter {

  /** The most bytes that a run takes: a number of 63 bits takes nine. */
  public static final int RUN_BYTES_MAX = 2 * 9;

  private byte[] bytes = new byte[256];
  private int size;
  private long end; // of the last run

  /**
   * @param run behind every run so far
   */
  public void add(PageRun run) {
    if (size + RUN_BYTES_MAX > bytes.length) {
      bytes = Arrays.copyOf(bytes, 2 * bytes.length);
    }
    put(run.firstPage() - end);
    put(run.pageCount());
    end = run.endPage();
  }

  private void put(long number) {
    long rest = number;
    while (rest > 0x7f) {
      bytes[size++] = (byte) (rest | 0x80);
      rest >>>= 7;
    }
    bytes[size++] = (byte) rest;
  }

  public int sizeBytes() {
    return size;
  }

  /** A copy. */
  public byte[] bytes() {
    return Arrays.copyOf(bytes, size);
  }

  /** The bytes so far, which it forgets; those of the runs to come go on behind them. */
  byte[] take() {
    byte[] taken = bytes();
    size = 0;
    return taken;
  }
}
