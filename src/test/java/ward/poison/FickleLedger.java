package ward.poison;

import java.io.IOException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;

/** A ledger on a disk that can be filled up, and freed again. From any thread. */
public final class FickleLedger {

  private final LockedDisk disk = new LockedDisk();
  private final LedgerJournal journal;

  /**
   * @param guest whose it is
   */
  public FickleLedger(String guest) throws IOException {
    this(guest, Path.of("/var/lib/ward"));
  }

  /**
   * @param directory where everything but the ledger itself is kept, on a disk that never fills up
   */
  public FickleLedger(String guest, Path directory) throws IOException {
    disk.write(0, JournalFormat.header());
    disk.write(
        JournalFormat.HEADER_BYTES,
        JournalFormat.encode(JournalFormat.VERSION, 0, List.of(new JournalRecord.Guest(guest))));
    journal = LedgerJournal.over(disk, () -> {}, directory.resolve("journal"));
  }

  public LedgerJournal journal() {
    return journal;
  }

  /** No write succeeds any more. */
  public void fill() {
    disk.setFull(true);
  }

  /** Writes succeed again. */
  public void free() {
    disk.setFull(false);
  }

  /** How many writes the disk has refused. */
  public int refusals() {
    return disk.refusals();
  }

  /** What whoever opens it next will find. */
  public PoisonLedger onDisk() throws LedgerException {
    return JournalReplay.of(Path.of("journal"), disk.read()).ledger();
  }

  private static final class LockedDisk implements JournalFile {
    private byte[] bytes = new byte[0];
    private boolean full;
    private int refusals;

    synchronized void setFull(boolean now) {
      full = now;
    }

    synchronized int refusals() {
      return refusals;
    }

    @Override
    public synchronized byte[] read() {
      return bytes.clone();
    }

    @Override
    public synchronized void write(long offset, byte[] news) throws IOException {
      int end = (int) offset + news.length;
      if (full && end > bytes.length) {
        refusals++;
        throw new IOException("No space left on device");
      }
      bytes = Arrays.copyOf(bytes, Math.max(bytes.length, end));
      System.arraycopy(news, 0, bytes, (int) offset, news.length);
    }

    @Override
    public void force() {
      // What is written is there.
    }

    @Override
    public synchronized void truncate(long lengthBytes) {
      bytes = Arrays.copyOf(bytes, (int) lengthBytes);
    }

    @Override
    public void close() {
      // Nothing to let go of.
    }
  }
}
