package ward.testbed.linux;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import ward.kernel.Kernel;
import ward.memory.GuestRegion;
import ward.testbed.acpi.Arm64Machine;

/**
 * A kernel as distributions ship it for arm64: uncompressed, and entered at its first byte.
 *
 * @see <a href="https://docs.kernel.org/arch/arm64/booting.html">Booting AArch64 Linux</a>
 */
public final class Arm64Image implements LinuxKernel {

  private static final int HEADER_BYTES = 64;
  private static final int TEXT_OFFSET = 8;
  private static final int IMAGE_SIZE = 16;
  private static final int MAGIC = 56;
  private static final int ARM_64 = 0x644d5241;

  /** Where QEMU's machine "virt" has its RAM, and Ward's guests too. */
  private static final long RAM = 1L << 30;

  private final byte[] file;
  private final ByteBuffer fields;

  private Arm64Image(byte[] file) {
    this.file = file;
    this.fields = ByteBuffer.wrap(file).order(ByteOrder.LITTLE_ENDIAN);
  }

  static boolean isOne(byte[] file) {
    return file.length >= HEADER_BYTES && new Arm64Image(file).fields.getInt(MAGIC) == ARM_64;
  }

  /**
   * @throws IOException if the file is no such kernel
   */
  public static Arm64Image read(Path path) throws IOException {
    return of(path, Files.readAllBytes(path));
  }

  static Arm64Image of(Path path, byte[] file) throws IOException {
    if (!isOne(file)) {
      throw new IOException("%s is no Image: it has no \"ARMd\" at %d".formatted(path, MAGIC));
    }
    Arm64Image image = new Arm64Image(file);
    if (image.fields.getLong(TEXT_OFFSET) != 0 || image.imageBytes() < file.length) {
      throw new IOException(
          "%s wants to be 0x%x behind a multiple of 2 MiB, 0x%x bytes long; 0 and at least 0x%x are"
                  .formatted(
                      path, image.fields.getLong(TEXT_OFFSET), image.imageBytes(), file.length)
              + " known: a kernel since Linux 5.8 is needed");
    }
    return image;
  }

  /** What is loaded. */
  byte[] bytes() {
    return file.clone();
  }

  /** In memory, with what is zeros at first. */
  long imageBytes() {
    return fields.getLong(IMAGE_SIZE);
  }

  @Override
  public GuestRegion ram(long memoryBytes) {
    return new GuestRegion(RAM, memoryBytes, 0);
  }

  @Override
  public long bytesToBeginWith() {
    return Arm64LinuxBoot.KERNEL + imageBytes();
  }

  /** KVM gives every guest this host's. */
  @Override
  public Map<String, byte[]> processorOf(Kernel host) {
    return Map.of();
  }

  @Override
  public LinuxBoot boot(GuestRegion ram, byte[] initialFiles, String commandLine, boolean polled) {
    return new Arm64LinuxBoot(Arm64Machine.ofWard(1), ram, this, initialFiles, commandLine, polled);
  }
}
