package ward.poison;

import java.io.IOException;

/** The few things a journal does to its file, so that a test can make each of them fail. */
interface JournalFile extends AutoCloseable {

  byte[] read() throws IOException;

  /** Writes all of the bytes, at an offset that is not beyond the end. */
  void write(long offset, byte[] bytes) throws IOException;

  /** Returns once everything written, and the file's length, would survive a power failure. */
  void force() throws IOException;

  void truncate(long lengthBytes) throws IOException;

  @Override
  void close() throws IOException;
}
