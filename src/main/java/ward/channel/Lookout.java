package ward.channel;

import java.io.IOException;
import java.util.Arrays;
import java.util.function.Consumer;
import ward.kernel.Inputs;
import ward.thread.UninterruptedWait;

/**
 * One thread that looks after several things in turn, and waits for all of them together.
 *
 * <p>On the way of a page this saves a thread: who reads the faults reads their answers, too. Where
 * all threads have one processor, each that looks in vain and lets the others go first costs every
 * page a change of thread.
 */
public final class Lookout {

  /** How long an end may go unnoticed while nothing comes. */
  private static final int END_NOTICED_MILLIS = 100;

  private final Thread thread;
  private final Consumer<Throwable> onFailure;
  private Inputs inputs; // null until the first comes, and at the end
  private volatile Watched[] watched = {};
  private volatile boolean ended;

  /**
   * @param onFailure is told, on the thread, why it has given up
   */
  public Lookout(String threadName, Consumer<Throwable> onFailure) {
    this.onFailure = onFailure;
    thread = new Thread(this::run, threadName);
    thread.setDaemon(true);
  }

  /**
   * Looks after one more, until it is over or the lookout ends; after its end not at all. From any
   * thread.
   *
   * @throws IOException if the kernel has no room for it
   */
  public void add(Watched one) throws IOException {
    if (!watches(one)) {
      one.left();
    }
  }

  private synchronized boolean watches(Watched one) throws IOException {
    if (ended || one.isOver()) {
      return false;
    }
    begin();
    Watched[] more = Arrays.copyOf(watched, watched.length + 1);
    more[watched.length] = one;
    watched = more; // before it can be heard of: who is told looks at all of them
    inputs.add(one.descriptor());
    return true;
  }

  private void begin() throws IOException {
    if (inputs == null) {
      inputs = Inputs.open();
      thread.start();
    }
  }

  private void run() {
    try {
      Inputs waitedFor = inputs();
      Patience patience = new Patience();
      Patience.Look look = this::look;
      while (!ended) {
        if (!patience.pays(look)) {
          waitedFor.await(END_NOTICED_MILLIS);
          look();
        }
      }
    } catch (IOException | RuntimeException e) {
      onFailure.accept(e);
    } finally {
      leave();
    }
  }

  private synchronized Inputs inputs() {
    return inputs;
  }

  private boolean look() {
    boolean any = false;
    for (Watched one : watched) {
      any |= one.look();
      if (one.isOver()) {
        remove(one);
      }
    }
    return any;
  }

  private void remove(Watched over) {
    synchronized (this) {
      watched = Arrays.stream(watched).filter(one -> one != over).toArray(Watched[]::new);
      inputs.remove(over.descriptor());
    }
    over.left();
  }

  private void leave() {
    for (Watched one : last()) {
      one.left();
    }
  }

  private synchronized Watched[] last() {
    ended = true;
    inputs.close();
    Watched[] last = watched;
    watched = new Watched[0];
    return last;
  }

  /**
   * Nothing is looked at any more when this returns, unless it is the lookout itself that calls.
   */
  public void end() {
    synchronized (this) { // whoever comes later is not watched
      ended = true;
    }
    if (thread != Thread.currentThread()) {
      UninterruptedWait.until(() -> !thread.isAlive(), thread::join);
    }
  }
}
