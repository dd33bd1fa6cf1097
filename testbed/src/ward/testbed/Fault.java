package ward.testbed;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import ward.wire.ConnectionKind;

/**
 * One thing that goes wrong on a {@link FaultyLink}, at a byte and not at a time, so that it
 * happens again in the next run.
 *
 * @param kind on connections that are for this; null: on any
 * @param times how often it may happen, on all connections together; {@link #ALWAYS} has no end
 */
record Fault(
    ConnectionKind kind, LinkDirection direction, Trigger trigger, Effect effect, int times) {

  static final int ALWAYS = Integer.MAX_VALUE;

  /** Numbers of frame kinds, as the protocol has them. */
  static final int MESSAGE = 1;

  static final int REQUEST = 2;
  static final int DATA = 3;
  static final int POISONED = 5;

  private static final int BITS = 8;
  private static final int STALL_MILLIS_MAX = 2000;

  Fault {
    if (times < 1) {
      throw new IllegalArgumentException(times + " times; at least once is allowed");
    }
  }

  /** Where it happens: in front of a byte, or to it. */
  sealed interface Trigger {}

  /**
   * @param offset bytes of this direction of the connection, its preface first
   */
  record AtByte(long offset) implements Trigger {}

  /**
   * @param firstFrame 1 for the first frame of that kind; the fault happens to it and, as long as
   *     it may, to those after it
   * @param offset bytes of the frame's body; frames with a shorter one are spared
   */
  record InBody(int frameKind, long firstFrame, long offset) implements Trigger {}

  /** What happens. */
  sealed interface Effect {
    /** For counts and texts. */
    default String name() {
      return getClass().getSimpleName();
    }
  }

  /** The byte arrives with one wrong bit. */
  record Flip(int bit) implements Effect {
    public Flip {
      if (bit < 0 || bit >= BITS) {
        throw new IllegalArgumentException("bit %d; 0 to 7 are allowed".formatted(bit));
      }
    }
  }

  /** Both ends of the connection get a reset in front of the byte. */
  record Reset() implements Effect {}

  /** So do all others that are open. */
  record ResetAll() implements Effect {}

  /** This direction ends in front of the byte, in an orderly way; the other one goes on. */
  record Cut() implements Effect {}

  /** The byte, and what comes behind it in this direction, takes so much longer. */
  record Stall(Duration time) implements Effect {}

  /**
   * Something that {@link FaultyLink#onAct} knows how to do, to the link or to what is at its ends;
   * the byte waits until it is done.
   */
  non-sealed interface Act extends Effect {}

  /**
   * The same faults for the same seed: of all effects, on the connections of a migration.
   *
   * @param streamBytes about what the background streams carry; most faults are meant to be met
   */
  static List<Fault> draw(long seed, int count, long streamBytes) {
    Random random = new Random(seed);
    List<Fault> faults = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      faults.add(draw(random, streamBytes));
    }
    return faults;
  }

  private static Fault draw(Random random, long streamBytes) {
    List<ConnectionKind> kinds =
        List.of(ConnectionKind.CONTROL, ConnectionKind.URGENT, ConnectionKind.STREAM);
    ConnectionKind kind = kinds.get(random.nextInt(kinds.size()));
    boolean bulk = kind == ConnectionKind.STREAM && random.nextInt(4) > 0;
    LinkDirection direction =
        bulk || random.nextBoolean() ? LinkDirection.TO_DESTINATION : LinkDirection.TO_SOURCE;
    // As many faults near the beginning, where connections are made, as far behind it.
    double exponent = random.nextDouble() * Math.log(bulk ? streamBytes : streamBytes / 16 + 2);
    return new Fault(kind, direction, new AtByte((long) Math.exp(exponent)), effect(random), 1);
  }

  private static Effect effect(Random random) {
    return switch (random.nextInt(5)) {
      case 0 -> new Flip(random.nextInt(BITS));
      case 1 -> new Reset();
      case 2 -> new ResetAll();
      case 3 -> new Cut();
      default -> new Stall(Duration.ofMillis(random.nextInt(STALL_MILLIS_MAX)));
    };
  }
}
