package ward.channel;

import java.util.function.LongSupplier;
import jnr.constants.platform.Errno;
import ward.kernel.StreamSocket;

/**
 * Looks for a while before it waits, where that has paid, and lets every other thread of the
 * processor go first. One thread's.
 *
 * <p>A thread that sleeps on another processor is woken 10 to 50 microseconds late in a virtual
 * machine, about as long as a page takes to come; on the same processor, being passed by costs less
 * than falling asleep and being woken (a bare pair in C answers a fault in 21 microseconds so, and
 * in 23 asleep). Whether it pays is learnt: each wait that ended while it was looked for is one to
 * the good, each that did not costs several.
 */
public final class Patience {

  private static final long LOOK_NANOS = 50_000;
  private static final int CREDIT_MAX = 16;
  private static final int PRICE = 4;

  /** Of waits without a look, this one looks again: circumstances change. */
  private static final int PROBE_EVERY = 64;

  private static final int WOULD_WAIT = -Errno.EAGAIN.intValue();

  /**
   * Whoever lets others go first gives up its turn: a rival that always has something to do, a
   * compiler or a stream, keeps the processor for its whole slice, 3 milliseconds and more. From
   * one that sleeps, and is woken, the kernel takes it away at once.
   */
  private static final long RIVAL_NANOS = 300_000;

  /**
   * After the first meeting with it, and in the beginning, when a compiler may be at work still;
   * twice as long after each meeting that follows.
   */
  private static final long ASLEEP_NANOS = 5_000_000;

  private static final long ASLEEP_NANOS_MAX = 160_000_000;

  private static final long AWAKE = 0;

  /** Something that may have come by now. */
  public interface Look {
    boolean finds();
  }

  private final LongSupplier clock;
  private final Runnable letOthersGo;
  private final Look inSocket = this::hasReceived;
  private int credit = CREDIT_MAX;
  private int waits;
  private long asleepUntil;
  private long asleepNanos = ASLEEP_NANOS;
  private StreamSocket socket;
  private long address;
  private long lengthBytes;
  private long received;

  /** At the moment from which it is used. */
  public Patience() {
    this(System::nanoTime, Thread::yield);
  }

  /**
   * @param clock in nanoseconds
   */
  Patience(LongSupplier clock, Runnable letOthersGo) {
    this.clock = clock;
    this.letOthersGo = letOthersGo;
    asleepUntil = clock.getAsLong() + ASLEEP_NANOS;
  }

  /**
   * Looks again and again, if that is worth it; the others go first, as what has been found before
   * is what they waited for, and a look in vain costs a microsecond of theirs.
   *
   * @return whether it was found; otherwise it is to be waited for
   */
  public boolean pays(Look look) {
    if (asleepUntil != AWAKE && hasRival()) {
      return false;
    }
    if (credit == 0 && ++waits % PROBE_EVERY != 0) {
      return false;
    }
    boolean found = isFoundSoon(look);
    credit = found ? Math.min(CREDIT_MAX, credit + 1) : Math.max(0, credit - PRICE);
    return found;
  }

  private boolean hasRival() {
    if (clock.getAsLong() - asleepUntil < 0) {
      return true;
    }
    asleepUntil = AWAKE;
    return false;
  }

  private boolean isFoundSoon(Look look) {
    long now = clock.getAsLong();
    long until = now + LOOK_NANOS;
    do {
      letOthersGo.run();
      long back = clock.getAsLong();
      if (back - now > RIVAL_NANOS) {
        asleepUntil = back + asleepNanos;
        asleepNanos = Math.min(2 * asleepNanos, ASLEEP_NANOS_MAX);
        return look.finds();
      }
      now = back;
      if (look.finds()) {
        asleepNanos = ASLEEP_NANOS;
        return true;
      }
    } while (now < until);
    return false;
  }

  /** As {@link StreamSocket#receive}, which waits. */
  long receive(StreamSocket from, long toAddress, long mostBytes) {
    socket = from;
    address = toAddress;
    lengthBytes = mostBytes;
    return pays(inSocket) ? received : from.receive(toAddress, mostBytes, true);
  }

  private boolean hasReceived() {
    received = socket.receive(address, lengthBytes, false);
    return received != WOULD_WAIT;
  }
}
