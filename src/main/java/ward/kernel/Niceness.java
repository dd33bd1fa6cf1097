package ward.kernel;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.function.Predicate;
import java.util.stream.Stream;

/**
 * Threads that give way to others on a busy processor. On Linux each thread has a nice value of its
 * own; to raise one needs no right. The higher, the sooner a thread that wakes up takes the
 * processor from it: among equals it would wait for the other's whole slice, some milliseconds.
 *
 * @see <a href="https://man7.org/linux/man-pages/man2/setpriority.2.html">setpriority(2)</a>
 * @see <a href="https://man7.org/linux/man-pages/man7/sched.7.html">sched(7)</a>
 */
public enum Niceness {
  /** What a guest does not wait for, but its migration does: 1/3 of an equal's share. */
  STREAM(5),
  /** What nobody waits for: 1/9 of it. */
  BACKGROUND(10);

  private static final Path THREADS = Path.of("/proc/self/task");
  private static final int CALLING = 0;

  private final int nice;

  Niceness(int nice) {
    this.nice = nice;
  }

  /** Of the calling thread, from now on; a refusal changes nothing but how long others wait. */
  public void take() {
    give(CALLING);
  }

  private void give(int thread) {
    NativeKernel.stubs().ward_nice(thread, nice);
  }

  /**
   * Of all threads of this process with such names, also of those that the JVM made.
   *
   * @param names up to 15 characters, as in {@code /proc/self/task/TID/comm}
   * @return how many there are
   */
  public int give(Predicate<String> names) throws IOException {
    try (Stream<Path> threads = Files.list(THREADS)) {
      return (int) threads.filter(thread -> names.test(nameOf(thread))).peek(this::give).count();
    }
  }

  private void give(Path thread) {
    give(Integer.parseInt(thread.getFileName().toString()));
  }

  /** Empty for one that has ended. */
  private static String nameOf(Path thread) {
    try {
      return Files.readString(thread.resolve("comm")).strip();
    } catch (IOException ended) {
      return "";
    }
  }
}
