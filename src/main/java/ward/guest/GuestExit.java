package ward.guest;

/**
 * How a guest ended.
 *
 * @param reason for people: one line
 */
public record GuestExit(Kind kind, String reason) {

  public enum Kind {
    /** Every vCPU switched itself off. */
    POWERED_OFF,
    /**
     * The guest was shut down as hardware would: a triple fault, or a machine check it could not
     * take.
     */
    SHUTDOWN,
    /** KVM could not go on; the guest is not to blame. */
    FAILED
  }
}
