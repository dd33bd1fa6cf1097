package ward.vcpu;

import ward.poison.Severity;

/**
 * Turns a memory error into the machine check that a guest of either vendor takes for it: the bits
 * that Linux guests are known to handle, because QEMU ({@code kvm_mce_inject} in
 * target/i386/kvm/kvm.c) sends the same.
 */
public final class MachineChecks {

  /** Banks of a guest: as many as QEMU gives one. */
  public static final int BANKS = 10;

  private static final int BANK = 9;

  private static final long VALID = 1L << 63;
  private static final long UNCORRECTED = 1L << 61;
  private static final long ENABLED = 1L << 60;
  private static final long MISC_VALID = 1L << 59;
  private static final long ADDRESS_VALID = 1L << 58;
  private static final long SIGNALED = 1L << 56;
  private static final long ACTION_REQUIRED = 1L << 55;
  private static final long AMD_DEFERRED = 1L << 44;
  private static final long AMD_POISON = 1L << 43;
  private static final long DATA_LOAD = 0x134;
  private static final long MEMORY_SCRUB = 0xc0;

  private static final long MCG_RIP_VALID = 1;
  private static final long MCG_EIP_VALID = 1 << 1;
  private static final long MCG_IN_PROGRESS = 1 << 2;

  private static final long MISC_PHYSICAL_ADDRESS = 2 << 6;
  private static final int PAGE_LSB = 12;

  private MachineChecks() {}

  /** What a guest on processors of this vendor is told about an error. */
  public static MachineCheck encode(CpuVendor vendor, MemoryError error) {
    long status = VALID | ENABLED | cause(vendor, error.severity());
    long mcgStatus = mcgStatus(error.severity());
    if (error.guestPhysicalAddress().isEmpty()) {
      return new MachineCheck(BANK, status, 0, 0, mcgStatus);
    }
    return new MachineCheck(
        BANK,
        status | ADDRESS_VALID | MISC_VALID,
        error.guestPhysicalAddress().getAsLong(),
        MISC_PHYSICAL_ADDRESS | Math.max(PAGE_LSB, error.lsb()),
        mcgStatus);
  }

  private static long cause(CpuVendor vendor, Severity severity) {
    boolean required = severity == Severity.ACTION_REQUIRED;
    return switch (vendor) {
      case INTEL ->
          UNCORRECTED | SIGNALED | (required ? ACTION_REQUIRED | DATA_LOAD : MEMORY_SCRUB);
      case AMD -> AMD_POISON | (required ? UNCORRECTED : AMD_DEFERRED);
    };
  }

  /** The saved RIP is always good; that it caused the error is only true where it was consumed. */
  private static long mcgStatus(Severity severity) {
    long always = MCG_IN_PROGRESS | MCG_RIP_VALID;
    return severity == Severity.ACTION_REQUIRED ? always | MCG_EIP_VALID : always;
  }
}
