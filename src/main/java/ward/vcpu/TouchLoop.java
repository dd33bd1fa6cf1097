package ward.vcpu;

import java.io.IOException;
import java.util.Optional;
import java.util.function.Consumer;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import ward.guest.GuestExit;

/** One thread of a {@link ThreadGuest}: its walk, from the first resume to the end. */
final class TouchLoop implements Runnable {

  private static final Logger LOG = LoggerFactory.getLogger(TouchLoop.class);

  private final int index;
  private final Walk walk;
  private final Consumer<Optional<GuestExit>> onEnd;
  private final VcpuGate gate = new VcpuGate();

  /**
   * @param onEnd hears, on this thread, that the walk is over: done if there is no exit, else
   *     failed
   */
  TouchLoop(int index, Walk walk, Consumer<Optional<GuestExit>> onEnd) {
    this.index = index;
    this.walk = walk;
    this.onEnd = onEnd;
  }

  VcpuGate gate() {
    return gate;
  }

  @Override
  public void run() {
    boolean finished = false;
    Optional<GuestExit> exit = Optional.empty();
    try {
      finished = walk.through(gate);
    } catch (IOException | RuntimeException | Error e) {
      LOG.error("thread {} cannot go on", index, e);
      String reason = "thread %d cannot go on: %s".formatted(index, e.getMessage());
      exit = Optional.of(new GuestExit(GuestExit.Kind.FAILED, reason));
    } finally {
      gate.leave();
    }
    if (finished || exit.isPresent()) {
      onEnd.accept(exit);
    }
  }
}
