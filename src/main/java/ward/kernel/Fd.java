package ward.kernel;

import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.IntConsumer;

/**
 * An open file descriptor that this object owns: closed once, unusable afterwards.
 *
 * <p>The name is for people: it stands in every log line and exception about the descriptor, as
 * {@code userfaultfd#12}.
 *
 * <p>{@link #number()} cannot protect a call that is already in flight on another thread: whoever
 * closes a descriptor first stops the threads that use it.
 */
public final class Fd implements AutoCloseable {

  private static final int CLOSED = -1;

  private final String name;
  private final AtomicInteger number;
  private final IntConsumer closer;

  /**
   * @param closer called once with the number, on {@link #close()}
   */
  public Fd(String name, int number, IntConsumer closer) {
    this.name = name + "#" + number;
    this.number = new AtomicInteger(number);
    this.closer = closer;
  }

  /**
   * @throws IllegalStateException after {@link #close()}
   */
  public int number() {
    int current = number.get();
    if (current == CLOSED) {
      throw new IllegalStateException(name + " is closed");
    }
    return current;
  }

  @Override
  public void close() {
    int current = number.getAndSet(CLOSED);
    if (current != CLOSED) {
      closer.accept(current);
    }
  }

  @Override
  public String toString() {
    return name;
  }
}
