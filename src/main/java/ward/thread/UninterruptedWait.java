package ward.thread;

import java.util.function.BooleanSupplier;

/**
 * Waiting that an interrupt does not end, because what is waited for still uses what belongs to the
 * waiting thread.
 */
public final class UninterruptedWait {

  /** Waits until something has happened, or the thread is interrupted. */
  @FunctionalInterface
  public interface Attempt {
    void await() throws InterruptedException;
  }

  private UninterruptedWait() {}

  /** However often the thread is interrupted, which it finds out afterwards. */
  public static void until(BooleanSupplier over, Attempt attempt) {
    boolean interrupted = false;
    while (!over.getAsBoolean()) {
      try {
        attempt.await();
      } catch (InterruptedException e) {
        interrupted = true;
      }
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }
}
