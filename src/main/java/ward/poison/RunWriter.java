package ward.poison;

import java.nio.ByteBuffer;
import ward.memory.PageRun;

/** Runs as {@link JournalFormat} draws them, behind what comes before them in a record. */
final class RunWriter {

  /** A number of 63 bits takes nine bytes. */
  private static final int RUN_BYTES_MAX = 2 * 9;

  private final ByteBuffer bytes;
  private long end; // of the last run

  /**
   * @param capacity in bytes, of the head and the runs
   */
  RunWriter(int capacity, byte[] head) {
    this.bytes = ByteBuffer.allocate(capacity).put(head);
  }

  /** Whether another run fits, wherever it is. */
  boolean hasRoom() {
    return bytes.remaining() >= RUN_BYTES_MAX;
  }

  /**
   * @param run behind every run so far
   */
  void add(PageRun run) {
    put(run.firstPage() - end);
    put(run.pageCount());
    end = run.endPage();
  }

  private void put(long number) {
    long rest = number;
    while (rest > 0x7f) {
      bytes.put((byte) (rest | 0x80));
      rest >>>= 7;
    }
    bytes.put((byte) rest);
  }

  byte[] bytes() {
    byte[] written = new byte[bytes.position()];
    bytes.flip().get(written);
    return written;
  }
}
