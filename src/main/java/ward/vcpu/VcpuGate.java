package ward.vcpu;

/**
 * Where the thread of a vCPU, or of what stands for one, asks whether it may run.
 *
 * <pre>
 * PAUSE --> RUN    resume
 * RUN --> PAUSE    forbid
 * any --> END      end
 * </pre>
 */
final class VcpuGate {

  private enum Wish {
    PAUSE,
    RUN,
    END
  }

  private static final long KICK_INTERVAL_MILLIS = 2;

  private Wish wish = Wish.PAUSE;
  private boolean running;

  /**
   * Waits until the thread may run; called by that thread, between two steps.
   *
   * @return false when it must end
   */
  synchronized boolean enter() {
    running = false;
    notifyAll();
    while (wish == Wish.PAUSE) {
      try {
        wait();
      } catch (InterruptedException e) {
        // Nobody has a reason to interrupt this thread; end() is how it is stopped.
        wish = Wish.END;
      }
    }
    running = wish == Wish.RUN;
    return running;
  }

  /** The thread is about to end. */
  synchronized void leave() {
    wish = Wish.END;
    running = false;
    notifyAll();
  }

  synchronized void resume() {
    if (wish == Wish.PAUSE) {
      wish = Wish.RUN;
      notifyAll();
    }
  }

  synchronized void forbid() {
    if (wish == Wish.RUN) {
      wish = Wish.PAUSE;
    }
  }

  /** Whether the thread stands at the gate, and stays there until it is let through. */
  synchronized boolean isOutside() {
    return !running && wish != Wish.RUN;
  }

  synchronized void end() {
    wish = Wish.END;
    notifyAll();
  }

  /**
   * Waits for the thread to stand at the gate or to have ended, also through an interrupt.
   *
   * @param deadline of {@link System#nanoTime()}
   * @param kick drives it out of whatever it waits in; repeated, since it may just have gone in
   * @return whether it does
   */
  synchronized boolean awaitOutsideUntil(long deadline, Runnable kick) {
    boolean interrupted = false;
    while (running && System.nanoTime() < deadline) {
      kick.run();
      try {
        wait(KICK_INTERVAL_MILLIS);
      } catch (InterruptedException e) {
        interrupted = true;
      }
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
    return !running;
  }
}
