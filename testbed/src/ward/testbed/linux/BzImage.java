package ward.testbed.linux;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Map;
import java.util.Set;
import ward.kernel.Kernel;
import ward.memory.GuestRegion;
import ward.vcpu.X86CpuModel;

/**
 * A kernel as distributions ship it for x86: a setup part, whose header says how to load it, and
 * the compressed kernel, which unpacks itself.
 *
 * @see <a href="https://docs.kernel.org/arch/x86/boot.html">The Linux/x86 Boot Protocol</a>
 */
final class BzImage implements LinuxKernel {

  /** Where the header stands, in the file and in {@code struct boot_params}. */
  static final int HEADER = 0x1f1;

  private static final int SECTOR_BYTES = 512;
  private static final int SETUP_SECTORS = 0x1f1;
  private static final int JUMP_OFFSET = 0x201;
  private static final int MAGIC = 0x202;
  private static final int VERSION = 0x206;
  private static final int EXTENDED_LOAD_FLAGS = 0x236;
  private static final int PREFERRED_ADDRESS = 0x258;
  private static final int INIT_SIZE = 0x260;

  private static final int HDRS = 0x53726448;
  private static final int VERSION_2_12 = 0x20c;
  private static final int HAS_64_BIT_ENTRY = 1;

  /** The 64-bit entry point stands this far into the compressed kernel. */
  private static final int ENTRY_64_BIT = 0x200;

  private final byte[] file;
  private final ByteBuffer fields;

  private BzImage(byte[] file) {
    this.file = file;
    this.fields = ByteBuffer.wrap(file).order(ByteOrder.LITTLE_ENDIAN);
  }

  /**
   * @throws IOException if the file is no kernel that can be entered in 64-bit mode
   */
  static BzImage of(Path path, byte[] file) throws IOException {
    BzImage image = new BzImage(file);
    image.check(path);
    return image;
  }

  private void check(Path path) throws IOException {
    if (file.length < 2 * SECTOR_BYTES || fields.getInt(MAGIC) != HDRS) {
      throw new IOException("%s is no bzImage: it has no \"HdrS\" at 0x202".formatted(path));
    }
    int version = Short.toUnsignedInt(fields.getShort(VERSION));
    if (version < VERSION_2_12 || (fields.getShort(EXTENDED_LOAD_FLAGS) & HAS_64_BIT_ENTRY) == 0) {
      throw new IOException(
          "%s has no 64-bit entry point (boot protocol %d.%02d); a kernel for x86-64 is needed"
              .formatted(path, version >> 8, version & 0xff));
    }
    if (file.length <= compressedOffset()) {
      throw new IOException(
          "%s ends after %d bytes, in its setup part".formatted(path, file.length));
    }
  }

  private int compressedOffset() {
    int sectors = Byte.toUnsignedInt(file[SETUP_SECTORS]);
    return ((sectors == 0 ? 4 : sectors) + 1) * SECTOR_BYTES;
  }

  /** The header, which the loader copies, fills in, and hands to the kernel. */
  byte[] header() {
    return Arrays.copyOfRange(file, HEADER, MAGIC + Byte.toUnsignedInt(file[JUMP_OFFSET]));
  }

  /** What is loaded at {@link #preferredAddress()}. */
  byte[] compressedKernel() {
    return Arrays.copyOfRange(file, compressedOffset(), file.length);
  }

  long preferredAddress() {
    return fields.getLong(PREFERRED_ADDRESS);
  }

  @Override
  public long bytesToBeginWith() {
    return preferredAddress() + Integer.toUnsignedLong(fields.getInt(INIT_SIZE));
  }

  long entry() {
    return preferredAddress() + ENTRY_64_BIT;
  }

  @Override
  public GuestRegion ram(long memoryBytes) {
    return new GuestRegion(0, memoryBytes, 0);
  }

  @Override
  public Map<String, byte[]> processorOf(Kernel host) throws IOException {
    byte[] model = X86CpuModel.likeThisHost(host, Set.of(X86CpuModel.Without.EXTENDED_STATE));
    return Map.of(X86CpuModel.SECTION, model);
  }

  @Override
  public LinuxBoot boot(GuestRegion ram, byte[] initialFiles, String commandLine, boolean polled) {
    return new X86LinuxBoot(ram, this, initialFiles, commandLine, polled);
  }
}
