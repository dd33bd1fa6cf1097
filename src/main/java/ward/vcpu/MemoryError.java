package ward.vcpu;

import java.util.OptionalLong;
import ward.poison.Severity;

/**
 * A loss of guest memory that one vCPU ran into or was told of.
 *
 * @param guestPhysicalAddress of the lost page's first byte; empty where the host does not know it
 * @param lsb log2 of the lost extent in bytes, as the host or the ledger says it, whichever is
 *     larger; at least 12
 * @param vcpu index, from 0; -1 where no vCPU has met it, but a device
 */
public record MemoryError(
    OptionalLong guestPhysicalAddress,
    Severity severity,
    int lsb,
    Input input,
    int vcpu,
    GuestAccess access) {

  /** How the host said it. */
  public enum Input {
    /** {@code BUS_MCEERR_AR}: KVM found a poison marker or a hardware error under an access. */
    SIGBUS_ACTION_REQUIRED,
    /**
     * {@code BUS_ADRERR} on a page that the ledger knows: a kernel without CONFIG_MEMORY_FAILURE.
     */
    SIGBUS_ADDRESS_ERROR,
    /** {@code BUS_MCEERR_AO}: the host found the loss before anyone consumed it. */
    SIGBUS_ACTION_OPTIONAL,
    /** {@code BUS_OBJERR}: an arm64 host took an external abort that firmware did not claim. */
    SIGBUS_OBJECT_ERROR,
    /**
     * {@code KVM_EXIT_MMIO} inside RAM: KVM's instruction emulator ran into it; no signal comes.
     */
    MMIO_IN_RAM,
    /** {@code KVM_EXIT_MEMORY_FAULT}: KVM could not map a page, and says which. */
    MEMORY_FAULT_EXIT,
    /** KVM_RUN failed with {@code EFAULT} or {@code EHWPOISON} and said nothing else. */
    RUN_FAILED,
    /** {@code KVM_EXIT_INTERNAL_ERROR}: KVM's instruction emulator could not even read the code. */
    EMULATION_FAILED,
    /** {@code KVM_EXIT_ARM_SEA}: the guest took a synchronous external abort. */
    ARM_SEA,
    /** {@code KVM_EXIT_ARM_NISV}: an abort of which the processor does not say what it did. */
    ARM_NISV,
    /** A loss that is known already, told before the guest meets it. */
    ANNOUNCEMENT,
    /** A device met it while it copied for the guest. */
    DEVICE_COPY,
    /** Another vCPU was told of an error, on a processor that then interrupts all of them. */
    BROADCAST
  }

  /** An error of which the host does not say what the guest was doing. */
  public MemoryError(
      OptionalLong guestPhysicalAddress, Severity severity, int lsb, Input input, int vcpu) {
    this(guestPhysicalAddress, severity, lsb, input, vcpu, GuestAccess.UNKNOWN);
  }

  /** For messages: {@code GPA 0x5000}, or that it is unknown. */
  public String place() {
    return guestPhysicalAddress.isPresent()
        ? "GPA 0x%x".formatted(guestPhysicalAddress.getAsLong())
        : "an unknown GPA";
  }
}
