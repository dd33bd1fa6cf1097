package ward.vcpu;

/**
 * What a processor does as it takes a synchronous exception to EL1, for aborts that KVM cannot
 * deliver by itself. Arm Architecture Reference Manual, pseudocode {@code AArch64.TakeException}.
 *
 * @param pc the vector that the guest goes on at
 * @param pstate there
 * @param esr ESR_EL1
 */
record Arm64ExceptionEntry(long pc, long pstate, long esr) {

  /** What kind of access failed. */
  enum Abort {
    INSTRUCTION(0x20),
    DATA(0x24);

    private final long fromBelow;

    Abort(long fromBelow) {
      this.fromBelow = fromBelow;
    }
  }

  /**
   * The processor before the exception.
   *
   * @param pstate as SPSR_EL1 will hold it
   * @param vbar VBAR_EL1
   * @param sctlr SCTLR_EL1
   * @param hasPan whether there is a PSTATE.PAN (ID_AA64MMFR1_EL1.PAN)
   */
  record Before(long pstate, long vbar, long sctlr, boolean hasPan) {}

  private static final long MODE_MASK = 0xf;
  private static final long MODE_AARCH32 = 1 << 4;
  private static final long MODE_EL0 = 0;
  private static final long MODE_EL1_OWN_STACK = 5;
  private static final long ALL_MASKED = 0xf << 6;
  private static final long SPECULATIVE_STORE_BYPASS_SAFE = 1 << 12;
  private static final long PRIVILEGED_ACCESS_NEVER = 1 << 22;

  /** N, Z, C, V and DIT stay as they are. */
  private static final long KEPT = 0xfL << 28 | 1 << 24;

  private static final long SCTLR_SPAN = 1 << 23;
  private static final long SCTLR_DSSBS = 1L << 44;

  private static final int CLASS_SHIFT = 26;
  private static final long INSTRUCTION_LENGTH_32 = 1 << 25;
  private static final long EXTERNAL_ABORT = 0x10;

  /** ESR_EL1.FnV: FAR_EL1 holds nothing. */
  static final long FAR_NOT_VALID = 1 << 10;

  /**
   * @param addressKnown whether FAR_EL1 will hold the address
   */
  static Arm64ExceptionEntry of(Abort abort, boolean addressKnown, Before before) {
    long syndrome =
        exceptionClass(abort, before.pstate()) << CLASS_SHIFT
            | INSTRUCTION_LENGTH_32
            | EXTERNAL_ABORT
            | (addressKnown ? 0 : FAR_NOT_VALID);
    return new Arm64ExceptionEntry(
        before.vbar() + vectorOffset(before.pstate()), pstate(before), syndrome);
  }

  private static boolean isFromBelow(long pstate) {
    return (pstate & MODE_AARCH32) != 0 || (pstate & MODE_MASK) == MODE_EL0;
  }

  private static long exceptionClass(Abort abort, long pstate) {
    return isFromBelow(pstate) ? abort.fromBelow : abort.fromBelow + 1;
  }

  private static long vectorOffset(long pstate) {
    if ((pstate & MODE_AARCH32) != 0) {
      return 0x600;
    }
    if ((pstate & MODE_MASK) == MODE_EL0) {
      return 0x400;
    }
    return (pstate & 1) != 0 ? 0x200 : 0;
  }

  private static long pstate(Before before) {
    long pan =
        before.hasPan()
            ? before.pstate() & PRIVILEGED_ACCESS_NEVER
                | ((before.sctlr() & SCTLR_SPAN) == 0 ? PRIVILEGED_ACCESS_NEVER : 0)
            : 0;
    return before.pstate() & KEPT
        | pan
        | ((before.sctlr() & SCTLR_DSSBS) != 0 ? SPECULATIVE_STORE_BYPASS_SAFE : 0)
        | ALL_MASKED
        | MODE_EL1_OWN_STACK;
  }
}
