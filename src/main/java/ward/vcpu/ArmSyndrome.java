package ward.vcpu;

import java.util.OptionalLong;

/**
 * ESR_EL2 of an abort that a guest took, as the Arm Architecture Reference Manual describes it
 * under "ISS encoding for an exception from a Data Abort" and "from an Instruction Abort".
 */
record ArmSyndrome(long esr) {

  private static final int CLASS_SHIFT = 26;
  private static final long CLASS_MASK = 0x3f;
  private static final long INSTRUCTION_ABORT_BELOW = 0x20;
  private static final long DATA_ABORT_BELOW = 0x24;

  private static final long SEVERITY_MASK = 0b11 << 11;
  private static final long UNCONTAINABLE = 0b10 << 11;
  private static final long FAR_NOT_VALID = 1 << 10;
  private static final long IS_WRITE = 1 << 6;

  private static final long STATUS_MASK = 0x3f;
  private static final long EXTERNAL = 0x10;
  private static final long EXTERNAL_WALK_FIRST = 0x13;
  private static final long EXTERNAL_WALK_LAST = 0x17;
  private static final long PARITY = 0x18;
  private static final long PARITY_WALK_FIRST = 0x1b;
  private static final long PARITY_WALK_LAST = 0x1f;

  /** Whether it is an abort of a guest's data access or instruction fetch that came from memory. */
  boolean isExternalAbort() {
    long status = esr & STATUS_MASK;
    return (isInstruction() || exceptionClass() == DATA_ABORT_BELOW)
        && (status == EXTERNAL || status == PARITY || isTableWalk());
  }

  private long exceptionClass() {
    return esr >>> CLASS_SHIFT & CLASS_MASK;
  }

  private boolean isInstruction() {
    return exceptionClass() == INSTRUCTION_ABORT_BELOW;
  }

  /**
   * Whether memory failed under a translation table and not under the access itself: the fault's
   * addresses are the access's.
   */
  boolean isTableWalk() {
    long status = esr & STATUS_MASK;
    return status >= EXTERNAL_WALK_FIRST && status <= EXTERNAL_WALK_LAST
        || status >= PARITY_WALK_FIRST && status <= PARITY_WALK_LAST;
  }

  /**
   * Whether wrong data may have spread before the abort was taken (SET, with the RAS extension).
   */
  boolean isUncontainable() {
    return (esr & SEVERITY_MASK) == UNCONTAINABLE;
  }

  /**
   * @param guestVirtualAddress what the exit says of it
   */
  GuestAccess access(long guestVirtualAddress) {
    OptionalLong address =
        (esr & FAR_NOT_VALID) == 0 ? OptionalLong.of(guestVirtualAddress) : OptionalLong.empty();
    return new GuestAccess(kind(), address);
  }

  private GuestAccess.Kind kind() {
    if (isInstruction()) {
      return GuestAccess.Kind.FETCH;
    }
    return isWrite(esr) ? GuestAccess.Kind.STORE : GuestAccess.Kind.LOAD;
  }

  /** Whether a data abort's syndrome says that it was a store. */
  static boolean isWrite(long syndrome) {
    return (syndrome & IS_WRITE) != 0;
  }
}
