package ward.testbed.linux;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;

/** A file that looks like a kernel to a boot loader: two sectors of setup, then some bytes. */
final class SmallKernel {

  static final byte[] COMPRESSED = "the compressed kernel".getBytes(StandardCharsets.US_ASCII);
  static final long PREFERRED_ADDRESS = 0x10_0000;
  static final int INIT_BYTES = 0x20_0000;

  /** Bytes of the header, from 0x1f1. */
  static final int HEADER_BYTES = 0x202 + 0x6a - BzImage.HEADER;

  final ByteBuffer bytes =
      ByteBuffer.allocate(2 * 512 + COMPRESSED.length).order(ByteOrder.LITTLE_ENDIAN);

  SmallKernel() {
    bytes.put(0x1f1, (byte) 1);
    bytes.put(0x200, (byte) 0xeb);
    bytes.put(0x201, (byte) 0x6a);
    bytes.putInt(0x202, 0x53726448);
    bytes.putShort(0x206, (short) 0x20f);
    bytes.putShort(0x236, (short) 1);
    bytes.putLong(0x258, PREFERRED_ADDRESS);
    bytes.putInt(0x260, INIT_BYTES);
    bytes.put(1024, COMPRESSED);
  }

  Path writeTo(Path directory) throws IOException {
    return Files.write(directory.resolve("vmlinuz"), bytes.array());
  }
}
