package ward.testbed.linux;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import ward.testbed.lab.NewcArchive;

/** The first file system of a guest, in memory: directories and programs, no more. */
public final class InitialFiles {

  private final ByteArrayOutputStream bytes = new ByteArrayOutputStream();
  private final NewcArchive archive = new NewcArchive(bytes);

  /** Adds an empty directory. */
  public InitialFiles directory(String name) throws IOException {
    archive.directory(name);
    return this;
  }

  /** Adds a file that may be executed. */
  public InitialFiles program(String name, byte[] content) throws IOException {
    archive.program(name, content);
    return this;
  }

  /** Ends the archive: nothing can be added afterwards. */
  public byte[] toBytes() throws IOException {
    archive.close();
    return bytes.toByteArray();
  }
}
