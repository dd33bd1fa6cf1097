package ward.uffd;

import jnr.constants.platform.Errno;
import ward.kernel.KernelCallException;
import ward.memory.Pages;

/**
 * What became of one request to fill a range.
 *
 * <p>Partial progress is an answer, not an exception: every outcome has its own next step.
 *
 * @param doneBytes leading bytes of the range that this request filled; never negative
 * @param errno the kernel's answer, positive; 0 when completed
 */
public record FillResult(Outcome outcome, long doneBytes, int errno) {

  /** What nearly every fault ends with. */
  private static final FillResult ONE_PAGE = new FillResult(Outcome.COMPLETED, Pages.SIZE_BYTES, 0);

  /** What the kernel answered, as the caller's next step. */
  public enum Outcome {
    /** Every byte is in place, and whoever waited is awake. */
    COMPLETED,
    /**
     * {@code EAGAIN}. Behind the bytes done stands a page that is already there; or the address
     * space is changing and an event about it waits to be read. Read the events, then go on behind
     * the bytes done.
     */
    INTERRUPTED,
    /** {@code EEXIST}: the first page is there already, or poisoned. Wake the range and move on. */
    ALREADY_RESOLVED,
    /** {@code ENOENT}: not one registered range; the mapping changed or ended. */
    UNREGISTERED,
    /** {@code ESRCH} or {@code ENOSPC}: the process that owned the memory has exited. */
    PROCESS_GONE,
    /** {@code ENOMEM}: this host has no page to spare. Later may be better. */
    OUT_OF_MEMORY,
    /** Anything else, such as {@code EINVAL} for a range that is not aligned. */
    REFUSED
  }

  /** The same for a longer request, of which only this beginning was dealt with. */
  FillResult ofMore(long lengthBytes) {
    return outcome == Outcome.COMPLETED && doneBytes < lengthBytes
        ? new FillResult(Outcome.INTERRUPTED, doneBytes, Errno.EAGAIN.intValue())
        : this;
  }

  /** Whether it tells of the pages or their owner, so that another way to fill them would too. */
  boolean isAboutTheRange() {
    return switch (outcome) {
      case COMPLETED, INTERRUPTED, ALREADY_RESOLVED, PROCESS_GONE -> true;
      case UNREGISTERED, OUT_OF_MEMORY, REFUSED -> false;
    };
  }

  /** The outcome as a person reads it: why the kernel does not take the page. */
  public String explanation() {
    return switch (outcome) {
      case UNREGISTERED -> "the memory is no longer mapped or registered with userfaultfd (ENOENT)";
      case PROCESS_GONE -> "the process that owned the memory has exited";
      default -> "refused by the kernel: " + KernelCallException.describe(errno) + hint();
    };
  }

  /** Out of memory is an outcome of its own where pages are filled; here it is a marker's. */
  private String hint() {
    return errno == Errno.ENOMEM.intValue()
        ? "; each marker is a mapping of its own here, of which vm.max_map_count allows only so many"
        : "";
  }

  /**
   * @param answer what the ioctl returned: 0 or {@code -errno}
   * @param reportedBytes the signed output field: bytes done, or {@code -errno}, or 0 where the
   *     kernel did not get as far as writing it
   */
  static FillResult of(int answer, long reportedBytes, long lengthBytes) {
    if (answer == 0) {
      return lengthBytes == Pages.SIZE_BYTES
          ? ONE_PAGE
          : new FillResult(Outcome.COMPLETED, lengthBytes, 0);
    }
    return new FillResult(outcomeOf(-answer), Math.max(0, reportedBytes), -answer);
  }

  private static Outcome outcomeOf(int errno) {
    return switch (Errno.valueOf(errno)) {
      case EAGAIN -> Outcome.INTERRUPTED;
      case EEXIST -> Outcome.ALREADY_RESOLVED;
      case ENOENT -> Outcome.UNREGISTERED;
      case ESRCH, ENOSPC -> Outcome.PROCESS_GONE;
      case ENOMEM -> Outcome.OUT_OF_MEMORY;
      default -> Outcome.REFUSED;
    };
  }
}
