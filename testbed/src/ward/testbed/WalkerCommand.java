package ward.testbed;

import ward.memory.Pages;

/**
 * Something that the arm64 walker does after its walks, and reports.
 *
 * @param address guest-virtual; memory is mapped to itself, for EL1 alone
 */
public record WalkerCommand(What what, long address) {

  /** The page of the guest, from the first, that maps what EL0 may touch. */
  public static final long TABLE_FOR_EL0_PAGE = Arm64WalkerImage.TABLE_FOR_EL0 >> Pages.SHIFT;

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
    /** Goes on at EL0 there. */
    EXECUTE_BELOW,
    /** By PSCI; nothing is reported. */
    SYSTEM_OFF,
    /** 8 bytes, at EL0; only where that meets an abort. */
    LOAD_BELOW,
    /** Likewise. */
    STORE_BELOW
  }

  /**
   * Where EL0 finds memory.
   *
   * @param guestPhysicalAddress in the first GiB of RAM
   * @return guest-virtual
   */
  public static long mappedForEl0(long guestPhysicalAddress) {
    return guestPhysicalAddress - Arm64WalkerImage.RAM + Arm64WalkerImage.FOR_EL0;
  }
}
