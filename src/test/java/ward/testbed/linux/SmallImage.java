package ward.testbed.linux;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;

/** A file that looks like an arm64 kernel to a boot loader: the header, and a page of zeros. */
final class SmallImage {

  static final int IMAGE_BYTES = 0x30_0000;

  final ByteBuffer bytes = ByteBuffer.allocate(4096).order(ByteOrder.LITTLE_ENDIAN);

  SmallImage() {
    bytes.putLong(16, IMAGE_BYTES);
    bytes.putInt(56, 0x644d5241);
  }

  Path writeTo(Path directory) throws IOException {
    return Files.write(directory.resolve("Image"), bytes.array());
  }
}
