package ward.testbed.linux;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;

/** The guest's whole file system: one program. */
final class FirstProgram {

  private static final String RESOURCE = "/guest/linux-init";
  private static final int PROGRAM = 0100755;
  private static final int ALIGNMENT = 4;

  private FirstProgram() {}

  /**
   * An initramfs in cpio's "newc" format (Documentation/driver-api/early-userspace/
   * buffer-format.rst).
   *
   * @throws IOException if the program has not been built
   */
  static byte[] initramfs() throws IOException {
    ByteArrayOutputStream archive = new ByteArrayOutputStream();
    entry(archive, "init", PROGRAM, program());
    entry(archive, "TRAILER!!!", 0, new byte[0]);
    return archive.toByteArray();
  }

  private static byte[] program() throws IOException {
    try (InputStream program = FirstProgram.class.getResourceAsStream(RESOURCE)) {
      if (program == null) {
        throw new IOException(
            "no %s on the class path; `make -C testbed/guest` makes it".formatted(RESOURCE));
      }
      return program.readAllBytes();
    }
  }

  private static void entry(ByteArrayOutputStream archive, String name, int mode, byte[] content)
      throws IOException {
    byte[] path = (name + "\0").getBytes(StandardCharsets.US_ASCII);
    // Magic, inode, mode, uid, gid, links, mtime, size, device (2), special device (2), name
    // length,
    // checksum.
    String header =
        "070701%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X"
            .formatted(1, mode, 0, 0, 1, 0, content.length, 0, 0, 0, 0, path.length, 0);
    archive.write(header.getBytes(StandardCharsets.US_ASCII));
    archive.write(path);
    pad(archive);
    archive.write(content);
    pad(archive);
  }

  private static void pad(ByteArrayOutputStream archive) {
    while (archive.size() % ALIGNMENT != 0) {
      archive.write(0);
    }
  }
}
