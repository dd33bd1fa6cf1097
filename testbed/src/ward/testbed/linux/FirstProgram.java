package ward.testbed.linux;

import java.io.IOException;
import java.io.InputStream;

/** The guest's whole file system: one program. */
final class FirstProgram {

  private static final String RESOURCE = "/guest/linux-init";

  private FirstProgram() {}

  /**
   * As an archive that the kernel unpacks.
   *
   * @throws IOException if the program has not been built
   */
  static byte[] initramfs() throws IOException {
    return new InitialFiles().program("init", program()).toBytes();
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
}
