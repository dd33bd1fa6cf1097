package ward.poison;

import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.file.Path;

/**
 * A file on a file system.
 *
 * <p>Not a {@code FileChannel}: interrupting a thread that uses one closes it, and the journal
 * would be gone in the middle of a migration.
 */
final class DiskFile implements JournalFile {

  /** Some ten million entries: more is not a ledger, and would not fit in memory. */
  static final long MAX_BYTES = 1L << 29;

  private final RandomAccessFile file;

  /**
   * @param path of a file that exists
   */
  DiskFile(Path path) throws IOException {
    this.file = new RandomAccessFile(path.toFile(), "rw");
  }

  @Override
  public byte[] read() throws IOException {
    byte[] bytes = new byte[bounded(file.length())];
    file.seek(0);
    file.readFully(bytes);
    return bytes;
  }

  /** The length, unless it is more than a journal may have. */
  static int bounded(long lengthBytes) throws IOException {
    if (lengthBytes > MAX_BYTES) {
      throw new IOException("%d bytes; a journal has at most %d".formatted(lengthBytes, MAX_BYTES));
    }
    return (int) lengthBytes;
  }

  @Override
  public void write(long offset, byte[] bytes) throws IOException {
    file.seek(offset);
    file.write(bytes);
  }

  @Override
  public void force() throws IOException {
    file.getFD().sync();
  }

  @Override
  public void truncate(long lengthBytes) throws IOException {
    file.setLength(lengthBytes);
  }

  @Override
  public void close() throws IOException {
    file.close();
  }
}
