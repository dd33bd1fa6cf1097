package ward.testbed;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Duration;
import java.util.Map;

/**
 * Lets a process see another time of day than the machine has: a library in front of the C
 * library's clock_gettime(2), which reads from a file by how much. Only CLOCK_REALTIME changes, as
 * when an operator or an NTP daemon steps it; clocks that measure durations go on.
 *
 * @param library {@code testbed/guest/stepped-clock.c}, built
 */
record SteppedClock(Path library) {

  /** Where the build puts it. */
  static SteppedClock built() {
    return new SteppedClock(WardJar.path().resolveSibling("test-classes/guest/stepped-clock.so"));
  }

  /**
   * For a process whose clock is the machine's until {@link #step}.
   *
   * @param file made here
   */
  Map<String, String> environment(Path file) {
    return Map.of("LD_PRELOAD", library.toString(), "WARD_CLOCK", file.toString());
  }

  /** Before the process starts: its clock is right. */
  static void set(Path file) throws IOException {
    step(file, Duration.ZERO);
  }

  /**
   * @param by how much later than the machine's the process's time is from now on
   */
  static void step(Path file, Duration by) throws IOException {
    ByteBuffer bytes = ByteBuffer.allocate(Long.BYTES).order(ByteOrder.nativeOrder());
    bytes.putLong(by.toSeconds()).flip();
    // Never shorter, not for a moment: it is mapped.
    try (FileChannel open =
        FileChannel.open(file, StandardOpenOption.CREATE, StandardOpenOption.WRITE)) {
      open.write(bytes, 0);
    }
  }
}
