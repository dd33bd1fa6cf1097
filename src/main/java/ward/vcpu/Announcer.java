package ward.vcpu;

import java.time.Duration;
import java.util.ArrayDeque;
import java.util.List;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.Queue;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import java.util.function.IntPredicate;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import ward.memory.PageSet;
import ward.memory.Pages;
import ward.poison.Severity;

/**
 * Tells a guest of losses that it has not met, so that its kernel takes the pages out of use before
 * anything touches them: one optional error after the other, each on the first vCPU that is on.
 *
 * <p>The next one goes out when the guest has heard of the one before and since then the interval
 * has passed. Used by the timer's thread only.
 */
final class Announcer {

  private static final Logger LOG = LoggerFactory.getLogger(Announcer.class);

  /** Between two looks whether the guest has heard; an AMD guest may take minutes. */
  private static final long LOOK_NANOS_MAX = TimeUnit.MILLISECONDS.toNanos(5);

  private final ScheduledExecutorService timer;
  private final List<VcpuLoop> loops;
  private final IntPredicate isOn;
  private final MemoryErrors errors;
  private final long intervalNanos;
  private final Queue<Long> left = new ArrayDeque<>();
  private Optional<VcpuLoop> telling = Optional.empty();
  private long last;

  /**
   * @param isOn whether the vCPU with this index runs, or will when the guest is resumed
   */
  Announcer(
      ScheduledExecutorService timer,
      List<VcpuLoop> loops,
      IntPredicate isOn,
      MemoryErrors errors,
      Duration interval) {
    this.timer = timer;
    this.loops = loops;
    this.isOn = isOn;
    this.errors = errors;
    this.intervalNanos = interval.toNanos();
  }

  /**
   * @param frames guest frame numbers
   */
  void start(PageSet frames) {
    frames.forEach(frame -> left.add(Pages.bytes(frame)));
    if (left.isEmpty()) {
      LOG.info("no page is lost of which the guest could be told");
      return;
    }
    LOG.info("telling the guest of {} lost pages before it meets them", left.size());
    timer.execute(() -> tell(true));
  }

  private void look() {
    if (!telling.orElseThrow().hasWaitingAnnouncement()) {
      onHeard();
    } else if (isOn.test(telling.get().index())) {
      lookAgain();
    } else {
      // What a vCPU took with it when it was switched off goes to the next vCPU.
      tell(false);
    }
  }

  private void onHeard() {
    if (left.isEmpty()) {
      LOG.info("the guest has been told of every lost page");
    } else {
      timer.schedule(() -> tell(true), intervalNanos, TimeUnit.NANOSECONDS);
    }
  }

  /**
   * @param heard whether the guest has heard of the last one, so that the next is due
   */
  private void tell(boolean heard) {
    telling = loops.stream().filter(loop -> isOn.test(loop.index())).findFirst();
    if (telling.isEmpty()) {
      LOG.info("no vCPU is left to hear of {} lost pages", left.size() + (heard ? 0 : 1));
      return;
    }
    if (heard) {
      last = left.remove();
    }
    telling.get().tell(error(last, telling.get().index()));
    lookAgain();
  }

  private void lookAgain() {
    timer.schedule(this::look, Math.min(intervalNanos, LOOK_NANOS_MAX), TimeUnit.NANOSECONDS);
  }

  private MemoryError error(long page, int vcpu) {
    return new MemoryError(
        OptionalLong.of(page),
        Severity.ACTION_OPTIONAL,
        errors.lostExtentAt(page).orElse(Pages.SHIFT),
        MemoryError.Input.ANNOUNCEMENT,
        vcpu);
  }
}
