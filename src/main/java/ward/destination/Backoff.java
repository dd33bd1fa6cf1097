package ward.destination;

import java.util.random.RandomGenerator;

/**
 * How long to wait before the next try: 100 ms at first, twice as long each time, 2 s at most, and
 * up to a fifth more or less, so that guests which lost the same host do not come back all at once.
 */
final class Backoff {

  static final long FIRST_MILLIS = 100;
  static final long MOST_MILLIS = 2_000;
  private static final double SPREAD = 0.2;

  private final RandomGenerator random;
  private long nextMillis = FIRST_MILLIS;

  Backoff(RandomGenerator random) {
    this.random = random;
  }

  long nextMillis() {
    long millis = nextMillis;
    nextMillis = Math.min(MOST_MILLIS, 2 * nextMillis);
    return Math.round(millis * random.nextDouble(1 - SPREAD, 1 + SPREAD));
  }

  /** A try went well: the next trouble is another one. */
  void reset() {
    nextMillis = FIRST_MILLIS;
  }
}
