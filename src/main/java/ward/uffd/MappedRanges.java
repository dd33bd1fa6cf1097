package ward.uffd;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.NavigableMap;
import java.util.TreeMap;
import java.util.stream.Stream;

/**
 * Where a process has mapped one file.
 *
 * @see <a href="https://man7.org/linux/man-pages/man5/proc_pid_maps.5.html">/proc/pid/maps</a>
 */
final class MappedRanges {

  /** First address to the address after the last. */
  private final NavigableMap<Long, Long> ranges = new TreeMap<>();

  private MappedRanges() {}

  /**
   * @param maps as {@code /proc/PID/maps}
   * @param file its last column
   */
  static MappedRanges ofFile(Path maps, String file) throws IOException {
    MappedRanges found = new MappedRanges();
    try (Stream<String> lines = Files.lines(maps)) {
      lines.filter(line -> line.endsWith(" " + file)).forEach(found::add);
    }
    return found;
  }

  /** {@code 7f0000001000-7f0000003000 rw-p ...}. */
  private void add(String line) {
    String[] range = line.substring(0, line.indexOf(' ')).split("-");
    ranges.put(Long.parseUnsignedLong(range[0], 16), Long.parseUnsignedLong(range[1], 16));
  }

  boolean contains(long address) {
    Map.Entry<Long, Long> below = ranges.floorEntry(address);
    return below != null && address < below.getValue();
  }
}
