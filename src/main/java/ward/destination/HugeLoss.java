package ward.destination;

/**
 * What becomes of a huge page of the guest's memory of which a part is lost: the kernel marks huge
 * pages as a whole only.
 */
public enum HugeLoss {
  /**
   * A guest of which less than a huge page is lost is not taken. What is lost of it later leaves
   * the huge page unresolved, and the migration unfinished: whoever touches it waits.
   *
   * <p>The default: that a guest loses more than the hardware did is for somebody to decide.
   */
  REFUSE,
  /**
   * All of it is lost, on both hosts: once the guest runs here the source is asked to take the rest
   * of the huge page for lost as well, and does so before it lets go.
   */
  WIDEN
}
