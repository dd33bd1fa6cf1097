package ward.testbed;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

/** How much of a mapping of another process lies in transparent huge pages, by its smaps. */
final class HugeMemory {

  private static final String HEAD = "[0-9a-f]+-[0-9a-f]+ .*";
  private static final String HUGE = "AnonHugePages:";

  private HugeMemory() {}

  /**
   * @param hostAddress anywhere in the mapping
   * @throws IOException if the process is gone, or has nothing there
   */
  static long bytes(long pid, long hostAddress) throws IOException {
    boolean inside = false;
    for (String line : Files.readAllLines(Path.of("/proc/" + pid + "/smaps"))) {
      inside = line.matches(HEAD) ? holds(line, hostAddress) : inside;
      if (inside && line.startsWith(HUGE)) {
        return Long.parseLong(line.substring(HUGE.length()).replace("kB", "").strip()) << 10;
      }
    }
    throw new IOException("process %d has no memory at 0x%x".formatted(pid, hostAddress));
  }

  private static boolean holds(String head, long hostAddress) {
    String[] range = head.split(" ", 2)[0].split("-");
    return Long.compareUnsigned(Long.parseUnsignedLong(range[0], 16), hostAddress) <= 0
        && Long.compareUnsigned(hostAddress, Long.parseUnsignedLong(range[1], 16)) < 0;
  }
}
