package ward.vcpu;

import java.io.IOException;
import java.util.OptionalLong;
import ward.guest.GuestMemory;
import ward.poison.Severity;

/** One thread's part of a {@link TouchPlan}, once. */
final class PlannedWalk implements Walk {

  /**
   * Touches in one native call: the loop that is measured is C. A pause waits for the rest of them,
   * which is milliseconds if every one is a fault.
   */
  private static final int BATCH = 64;

  private static final int PAGE_LSB = 12;

  private final int index;
  private final TouchPlan plan;
  private final int from;
  private final int to;
  private final GuestMemory memory;
  private final MemoryErrors errors;

  /**
   * @param from line of the plan
   * @param to the line behind the last
   */
  PlannedWalk(
      int index, TouchPlan plan, int from, int to, GuestMemory memory, MemoryErrors errors) {
    this.index = index;
    this.plan = plan;
    this.from = from;
    this.to = to;
    this.memory = memory;
    this.errors = errors;
  }

  @Override
  public boolean through(VcpuGate gate) throws IOException {
    for (int next = from; next < to; next += BATCH) {
      if (!gate.enter()) {
        return false;
      }
      int end = Math.min(to, next + BATCH);
      plan.touch(next, end - next);
      tellOfLosses(next, end);
    }
    return true;
  }

  private void tellOfLosses(int begin, int end) throws IOException {
    for (int i = begin; i < end; i++) {
      if (plan.isLost(i)) {
        errors.consumed(loss(memory.layout().addressOf(plan.page(i))));
      }
    }
  }

  private MemoryError loss(long address) {
    return new MemoryError(
        OptionalLong.of(address),
        Severity.ACTION_REQUIRED,
        PAGE_LSB,
        MemoryError.Input.SIGBUS_ADDRESS_ERROR,
        index);
  }
}
