package ward.testbed.linux;

import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;

/** A cpio archive that a Linux kernel unpacks as its first file system, format {@code newc}. */
public final class InitialFiles {

  private static final int DIRECTORY = 0040755;
  private static final int PROGRAM = 0100755;
  private static final int FIELD_BYTES = 4;
  private static final String TRAILER = "TRAILER!!!";

  private final ByteArrayOutputStream bytes = new ByteArrayOutputStream();
  private int count;

  /** Adds an empty directory. */
  public InitialFiles directory(String name) {
    return put(name, DIRECTORY, new byte[0]);
  }

  /** Adds a file that may be executed. */
  public InitialFiles program(String name, byte[] content) {
    return put(name, PROGRAM, content);
  }

  /** The archive so far. */
  public byte[] toBytes() {
    ByteArrayOutputStream all = new ByteArrayOutputStream();
    all.writeBytes(bytes.toByteArray());
    all.writeBytes(entry(TRAILER, 0, 0, new byte[0]));
    return all.toByteArray();
  }

  private InitialFiles put(String name, int mode, byte[] content) {
    count++;
    bytes.writeBytes(entry(name, mode, count, content));
    return this;
  }

  private static byte[] entry(String name, int mode, int number, byte[] content) {
    ByteArrayOutputStream entry = new ByteArrayOutputStream();
    String header =
        "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x"
            .formatted(number, mode, 0, 0, 1, 0, content.length, 0, 0, 0, 0, name.length() + 1, 0);
    entry.writeBytes((header + name + '\0').getBytes(StandardCharsets.US_ASCII));
    pad(entry);
    entry.writeBytes(content);
    pad(entry);
    return entry.toByteArray();
  }

  private static void pad(ByteArrayOutputStream entry) {
    while (entry.size() % FIELD_BYTES != 0) {
      entry.write(0);
    }
  }
}
