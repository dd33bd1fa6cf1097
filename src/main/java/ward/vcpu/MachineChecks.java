package ward.vcpu;

import ward.poison.Severity;

/**
 * Turns a memory error into the machine check that a guest of either vendor takes for it: the bits
 * that Linux guests are known to handle, because QEMU ({@code kvm_mce_inject} in
 * target/i386/kvm/kvm.c) sends the same.
 *
 * <p>OVER (bit 62 of MCi_STATUS) is never among them. KVM adds it where the bank is still valid
 * from the error before ({@code kvm_vcpu_ioctl_x86_set_mce}), as the processor does by Intel SDM
 * volume 3, section 16.3.2.2.1, and Linux ends an Intel guest that reads it with an error that
 * requires action ("Action required with lost events", arch/x86/kernel/cpu/mce/severity.c). A guest
 * that clears its banks before MCG_STATUS, as both manuals demand, never reads it: while
 * MCG_STATUS.MCIP is set no further error is sent, and a deferred error that waits in the bank is
 * withdrawn first ({@link Processor#withdrawUnread()}).
 */
public final class MachineChecks {

  /** Banks of a guest: as many as QEMU gives one. */
  public static final int BANKS = 10;

  /** IA32_MCG_CAP.MCG_LMCE_P: machine checks can stay with the processor that they concern. */
  static final long LOCAL_SUPPORTED = 1L << 27;

  /** IA32_MCG_CAP.MCG_CTL_P: there is an IA32_MCG_CTL. */
  static final long GLOBAL_CONTROL_SUPPORTED = 1L << 8;

  static final int BANK = 9;
  private static final int BROADCAST_BANK = 1;

  static final long VALID = 1L << 63;
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
  private static final long MCG_LOCAL = 1 << 3;

  /**
   * MCi_MISC: the address is a physical one, and good down to bit 12. Always to bit 12: a Linux
   * guest ({@code mce_usable_address} in arch/x86/kernel/cpu/mce) cannot use an address that says
   * less, and takes out of use only one page anyway. The other pages of a larger extent are machine
   * checks of their own.
   */
  private static final long MISC_PHYSICAL_PAGE = 2 << 6 | 12;

  private MachineChecks() {}

  /** What a guest on processors of this vendor is told about an error. */
  public static MachineCheck encode(CpuVendor vendor, MemoryError error) {
    if (error.input() == MemoryError.Input.BROADCAST) {
      return broadcast();
    }
    long status = VALID | ENABLED | cause(vendor, error.severity());
    long mcgStatus = mcgStatus(error.severity());
    if (error.guestPhysicalAddress().isEmpty()) {
      return new MachineCheck(BANK, status, 0, 0, mcgStatus);
    }
    return new MachineCheck(
        BANK,
        status | ADDRESS_VALID | MISC_VALID,
        error.guestPhysicalAddress().getAsLong(),
        MISC_PHYSICAL_PAGE,
        mcgStatus);
  }

  /** What a processor reads that is only interrupted because another one has met an error. */
  private static MachineCheck broadcast() {
    return new MachineCheck(
        BROADCAST_BANK, VALID | UNCORRECTED, 0, 0, MCG_IN_PROGRESS | MCG_RIP_VALID);
  }

  /** The same on a processor whose guest has enabled local machine checks. */
  static MachineCheck local(MachineCheck check) {
    return new MachineCheck(
        check.bank(), check.status(), check.addr(), check.misc(), check.mcgStatus() | MCG_LOCAL);
  }

  /**
   * Whether the processor is interrupted for it. A deferred error only waits in its bank until the
   * guest looks there.
   */
  static boolean interrupts(MachineCheck check) {
    return (check.status() & UNCORRECTED) != 0;
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
