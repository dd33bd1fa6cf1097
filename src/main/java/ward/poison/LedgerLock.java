package ward.poison;

import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.file.Path;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import ward.poison.LedgerException.Kind;

/**
 * Keeps two writers from sharing a ledger. The kernel lets go of it when the process ends, however
 * it ends.
 *
 * <p>A file of its own carries the lock: POSIX drops a process's locks on a file as soon as it
 * closes any descriptor of that file (fcntl(2)), so reading the journal would unlock it. For the
 * same reason a second attempt inside this process is refused before it opens the file.
 */
final class LedgerLock implements AutoCloseable {

  private static final Set<Path> TAKEN_HERE = ConcurrentHashMap.newKeySet();

  private final Path directory;
  private final FileChannel channel;

  private LedgerLock(Path directory, FileChannel channel) {
    this.directory = directory;
    this.channel = channel;
  }

  static LedgerLock take(LedgerDirectory directory) throws LedgerException {
    Path path = directory.path();
    if (!TAKEN_HERE.add(path)) {
      throw inUse(path, "this process");
    }
    try {
      return new LedgerLock(path, lockedChannel(directory));
    } catch (IOException e) {
      TAKEN_HERE.remove(path);
      throw e instanceof LedgerException known
          ? known
          : LedgerException.io("lock", directory.lock(), e);
    }
  }

  private static FileChannel lockedChannel(LedgerDirectory directory) throws IOException {
    FileChannel channel = directory.openLock();
    FileLock lock = channel.tryLock();
    if (lock == null) {
      channel.close();
      throw inUse(directory.path(), "another process");
    }
    return channel;
  }

  private static LedgerException inUse(Path path, String by) {
    return new LedgerException(
        Kind.IN_USE,
        "ledger %s is in use by %s; two writers cannot share one: end the other, or ask it to record"
                .formatted(path, by)
            + " the loss");
  }

  @Override
  public void close() throws IOException {
    try {
      channel.close();
    } finally {
      TAKEN_HERE.remove(directory);
    }
  }
}
