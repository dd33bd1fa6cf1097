package ward.testbed.lab;

import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;

/**
 * Writes a cpio archive in the format that the kernel unpacks into its first file system ("newc",
 * magic 070701; Documentation/driver-api/early-userspace/buffer-format.rst).
 *
 * <p>Every file belongs to root. Archives may follow each other in one initramfs.
 */
public final class NewcArchive implements AutoCloseable {

  private static final int LINK = 0120777;
  private static final int DIRECTORY = 0040755;
  private static final int FILE = 0100644;
  private static final int PROGRAM = 0100755;
  private static final int ALIGNMENT = 4;

  private final OutputStream output;
  private int inode;
  private long written;

  /**
   * @param output receives the archive, and is closed with it
   */
  public NewcArchive(OutputStream output) {
    this.output = output;
  }

  /** Adds an empty directory. */
  public void directory(String name) throws IOException {
    entry(name, DIRECTORY, new byte[0]);
  }

  void file(String name, byte[] content) throws IOException {
    entry(name, FILE, content);
  }

  /** Adds a file that may be executed. */
  public void program(String name, byte[] content) throws IOException {
    entry(name, PROGRAM, content);
  }

  void link(String name, String target) throws IOException {
    entry(name, LINK, target.getBytes(StandardCharsets.UTF_8));
  }

  /** A file, a link or an empty directory, as it is on disk. */
  void copy(String name, Path source) throws IOException {
    if (Files.isSymbolicLink(source)) {
      link(name, Files.readSymbolicLink(source).toString());
    } else if (Files.isDirectory(source, LinkOption.NOFOLLOW_LINKS)) {
      directory(name);
    } else if (Files.isExecutable(source)) {
      program(name, Files.readAllBytes(source));
    } else {
      file(name, Files.readAllBytes(source));
    }
  }

  private void entry(String name, int mode, byte[] content) throws IOException {
    inode++;
    header(name, mode, inode, content.length);
    output.write(content);
    written += content.length;
    pad();
  }

  private void header(String name, int mode, int number, int length) throws IOException {
    byte[] path = (name + "\0").getBytes(StandardCharsets.UTF_8);
    // Magic, inode, mode, uid, gid, links, mtime, size, device (2), special device (2), name,
    // checksum.
    String header =
        "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x"
            .formatted(number, mode, 0, 0, 1, 0, length, 0, 0, 0, 0, path.length, 0);
    output.write(header.getBytes(StandardCharsets.US_ASCII));
    output.write(path);
    written += header.length() + path.length;
    pad();
  }

  private void pad() throws IOException {
    while (written % ALIGNMENT != 0) {
      output.write(0);
      written++;
    }
  }

  /** Ends the archive and closes what it was written to. */
  @Override
  public void close() throws IOException {
    header("TRAILER!!!", 0, 0, 0);
    output.close();
  }
}
