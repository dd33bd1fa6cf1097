package ward.metrics;

import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentMap;
import java.util.concurrent.atomic.LongAdder;
import ward.poison.Severity;

/** How often a guest was told of a memory error, by what was said of it. */
public final class MemoryErrorCounts {

  private record Kind(Severity severity, String input) {}

  /** Takes one kind after the other. */
  @FunctionalInterface
  public interface Taker {
    void take(Severity severity, String input, long count);
  }

  private final ConcurrentMap<Kind, LongAdder> counts = new ConcurrentHashMap<>();

  /**
   * @param input how the host learnt of it, a word
   */
  public void add(Severity severity, String input) {
    counts.computeIfAbsent(new Kind(severity, input), kind -> new LongAdder()).increment();
  }

  /** Every kind that there has been. */
  public void forEach(Taker taker) {
    counts.forEach((kind, count) -> taker.take(kind.severity(), kind.input(), count.sum()));
  }
}
