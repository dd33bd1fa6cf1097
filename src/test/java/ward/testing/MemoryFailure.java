package ward.testing;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import org.junit.jupiter.api.Assumptions;

/** Takes pages of this machine's memory out of use, as it does itself when its hardware fails. */
public final class MemoryFailure {

  private static final Path SWITCH = Path.of("/proc/sys/vm/memory_failure_early_kill");
  private static final Path HARD_OFFLINE = Path.of("/sys/devices/system/memory/hard_offline_page");
  private static final Path PAGE_MAP = Path.of("/proc/self/pagemap");
  private static final long FRAME = (1L << 55) - 1;
  private static final int PAGE_SHIFT = 12;

  private MemoryFailure() {}

  /** Skips the test where the kernel was built without it, which no right of ours can change. */
  public static void require() {
    Assumptions.assumeTrue(isKnownHere(), "this kernel is built without CONFIG_MEMORY_FAILURE");
  }

  /** Whether the kernel was built with CONFIG_MEMORY_FAILURE. */
  public static boolean isKnownHere() {
    return Files.exists(SWITCH);
  }

  /**
   * Loses the page at this address for good. The caller is not told by a signal, as it would be
   * after {@code MADV_HWPOISON}.
   *
   * @param address host-virtual; the page must be there
   */
  public static void loseThePageAt(long address) throws IOException {
    long frame = frameAt(address);
    Files.writeString(HARD_OFFLINE, "0x%x".formatted(frame << PAGE_SHIFT));
  }

  private static long frameAt(long address) throws IOException {
    ByteBuffer entry = ByteBuffer.allocate(Long.BYTES).order(ByteOrder.nativeOrder());
    try (FileChannel map = FileChannel.open(PAGE_MAP, StandardOpenOption.READ)) {
      map.read(entry, (address >>> PAGE_SHIFT) * Long.BYTES);
    }
    long frame = entry.getLong(0) & FRAME;
    if (frame == 0) {
      throw new IOException(
          "no page frame for 0x%x in %s: it is not present, or this is not root"
              .formatted(address, PAGE_MAP));
    }
    return frame;
  }
}
