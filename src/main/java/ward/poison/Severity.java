package ward.poison;

/** How the hardware reported a loss, as in {@code si_code} of SIGBUS. */
public enum Severity {
  /** Consumed: {@code BUS_MCEERR_AR}. The access cannot go on. */
  ACTION_REQUIRED,
  /** Found, for instance by a scrubber, but not consumed: {@code BUS_MCEERR_AO}. */
  ACTION_OPTIONAL
}
