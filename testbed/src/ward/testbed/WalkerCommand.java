package ward.testbed;

/**
 * Something that the arm64 walker does after its walks, and reports.
 *
 * @param address guest-virtual; memory is mapped to itself
 */
public record WalkerCommand(What what, long address) {

  /** In the order of the program's numbers. */
  public enum What {
    /** 8 bytes. */
    LOAD,
    /** 8 bytes. */
    STORE,
    /** A call. */
    EXECUTE,
    /** A pair of registers: the processor does not say which. */
    LOAD_PAIR,
    /** Lets SErrors in for a moment. */
    UNMASK,
    /** Goes on at EL0 there; only without an MMU. */
    EXECUTE_BELOW,
    /** By PSCI; nothing is reported. */
    SYSTEM_OFF
  }
}
