package ward.testbed;

import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import ward.vcpu.TouchPlan.Touch;

/**
 * How long loads took that had to wait for their page.
 *
 * @param sortedNanos ascending
 * @param perSecond how many of them there were in a second of the clock on the wall; 0 if none
 */
record Samples(long[] sortedNanos, double perSecond) {

  /**
   * A load of a page that is there takes some 50 ns, a fault that another process resolves no less
   * than 2 µs.
   */
  private static final long FAULT_NANOS_MIN = 1_000;

  /**
   * The second half of every thread's part of a plan: by then Ward's code has been compiled and the
   * caches are warm, on both sides.
   */
  static Samples steady(Touch[] touches, int threads) {
    return of(
        IntStream.range(0, threads)
            .boxed()
            .flatMap(thread -> secondHalf(touches, thread, threads))
            .toList());
  }

  /** The line of a plan where a thread's part begins. */
  static int share(int lines, int thread, int threads) {
    return (int) ((long) lines * thread / threads);
  }

  private static Stream<Touch> secondHalf(Touch[] touches, int thread, int threads) {
    int from = share(touches.length, thread, threads);
    int to = share(touches.length, thread + 1, threads);
    return Arrays.stream(touches, from + (to - from) / 2, to);
  }

  /** The faults that came first, of all threads: those of a cold pair. */
  static Samples first(Touch[] touches, int count) {
    return of(
        Arrays.stream(touches)
            .filter(Samples::isFault)
            .sorted(Comparator.comparingLong(Touch::beganNanos))
            .limit(count)
            .toList());
  }

  private static Samples of(List<Touch> touches) {
    List<Touch> faults = touches.stream().filter(Samples::isFault).toList();
    long[] waits = faults.stream().mapToLong(Touch::waitedNanos).sorted().toArray();
    long begin = faults.stream().mapToLong(Touch::beganNanos).min().orElse(0);
    long end =
        faults.stream().mapToLong(one -> one.beganNanos() + one.waitedNanos()).max().orElse(0);
    return new Samples(waits, end > begin ? waits.length * 1e9 / (end - begin) : 0);
  }

  private static boolean isFault(Touch touch) {
    return !touch.lost() && touch.waitedNanos() >= FAULT_NANOS_MIN;
  }

  /**
   * The smallest sample that is not exceeded by a part of all; NaN if there is none.
   *
   * @param part 0 to 1: 0.5 is the median, 1 the worst
   */
  double micros(double part) {
    if (sortedNanos.length == 0) {
      return Double.NaN;
    }
    int rank = (int) Math.ceil(part * sortedNanos.length);
    return sortedNanos[Math.max(0, rank - 1)] / 1e3;
  }
}
