package ward.poison;

import static java.nio.file.StandardCopyOption.ATOMIC_MOVE;

import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.FileAttribute;
import java.nio.file.attribute.PosixFilePermissions;

/** The directory of a ledger, and the files in it: only the owner may read or write them. */
record LedgerDirectory(Path path) {

  private static final FileAttribute<?> FOR_OWNER =
      PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rw-------"));
  private static final FileAttribute<?> DIRECTORY_FOR_OWNER =
      PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rwx------"));

  /** Makes it unless it exists. Its real path tells whether two paths are the same ledger. */
  static LedgerDirectory create(Path path) throws LedgerException {
    try {
      if (!Files.isDirectory(path)) {
        Files.createDirectories(path, DIRECTORY_FOR_OWNER);
        sync(path.toAbsolutePath().getParent());
      }
      return new LedgerDirectory(path.toRealPath());
    } catch (IOException e) {
      throw LedgerException.io("create the ledger's directory", path, e);
    }
  }

  Path journal() {
    return path.resolve("journal");
  }

  Path lock() {
    return path.resolve("lock");
  }

  Path migration() {
    return path.resolve("migration");
  }

  /** Opens the journal; makes an empty one unless it exists. The lock must be held. */
  JournalFile openJournal() throws LedgerException {
    try {
      if (!Files.exists(journal())) {
        createJournal();
      }
      return new DiskFile(journal());
    } catch (IOException e) {
      throw LedgerException.io("open", journal(), e);
    }
  }

  // Made under another name, so that the journal never exists without its whole header: a journal
  // shorter than that has been damaged, and is not taken for an empty one.
  private void createJournal() throws IOException {
    Path unfinished = path.resolve("journal.new");
    Files.deleteIfExists(unfinished);
    Files.createFile(unfinished, FOR_OWNER);
    try (JournalFile file = new DiskFile(unfinished)) {
      file.write(0, JournalFormat.header());
      file.force();
    }
    Files.move(unfinished, journal(), ATOMIC_MOVE);
    sync(path);
  }

  /** Opens the file whose lock stands for the ledger. */
  FileChannel openLock() throws IOException {
    if (!Files.exists(lock())) {
      Files.createFile(lock(), FOR_OWNER);
    }
    return FileChannel.open(lock(), StandardOpenOption.READ, StandardOpenOption.WRITE);
  }

  /** On disk under another name first: the file is never without its whole content. */
  void replaceMigration(byte[] content) throws IOException {
    Path unfinished = path.resolve("migration.new");
    Files.deleteIfExists(unfinished);
    Files.createFile(unfinished, FOR_OWNER);
    try (JournalFile file = new DiskFile(unfinished)) {
      file.write(0, content);
      file.force();
    }
    Files.move(unfinished, migration(), ATOMIC_MOVE);
    sync(path);
  }

  void removeMigration() throws IOException {
    if (Files.deleteIfExists(migration())) {
      sync(path);
    }
  }

  /** A new name in a directory survives a power failure only once the directory is on disk. */
  private static void sync(Path directory) throws IOException {
    try (FileChannel channel = FileChannel.open(directory, StandardOpenOption.READ)) {
      channel.force(true);
    }
  }
}
