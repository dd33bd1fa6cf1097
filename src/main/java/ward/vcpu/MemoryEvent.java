package ward.vcpu;

import java.util.List;
import java.util.Optional;
import jnr.constants.platform.Errno;

/**
 * What a vCPU's thread was told by the host that may be a loss of guest memory, as it was told:
 * {@link MemoryErrorRules} decides what to make of it.
 */
sealed interface MemoryEvent {

  /**
   * SIGBUS of the vCPU's own thread.
   *
   * @param code {@code si_code}
   * @param hostAddress {@code si_addr}; 0 where the host does not know it
   * @param lsb {@code si_addr_lsb}, log2 bytes; 0 where the host does not know it
   */
  record BusError(int code, long hostAddress, int lsb) implements MemoryEvent {}

  /** KVM_EXIT_MMIO: an access which KVM could not make in memory. */
  record Mmio(long guestPhysicalAddress, boolean isWrite) implements MemoryEvent {}

  /**
   * KVM_RUN answered {@code -EFAULT} or {@code -EHWPOISON}.
   *
   * @param fault what KVM_EXIT_MEMORY_FAULT says, if this very run set it
   * @param reach where else the guest's instruction may have been, see {@link AddressFinder}; empty
   *     if that is not known
   */
  record RunFault(Errno errno, Optional<MemoryFault> fault, List<Long> reach)
      implements MemoryEvent {

    public RunFault {
      reach = List.copyOf(reach);
    }

    /** Whether KVM_RUN answers this errno where it could not reach guest memory. */
    static boolean speaksOf(Errno errno) {
      return errno == Errno.EFAULT || errno == Errno.EHWPOISON;
    }
  }

  /**
   * KVM_EXIT_INTERNAL_ERROR: KVM's emulator could not carry an instruction out. It does not say
   * that it could not read the instruction.
   *
   * @param reach as in {@link RunFault}
   */
  record EmulationFailure(List<Long> reach) implements MemoryEvent {

    public EmulationFailure {
      reach = List.copyOf(reach);
    }
  }

  /**
   * {@code kvm_run.memory_fault}.
   *
   * @param flags bit 3: the guest wanted private memory
   * @param sizeBytes of the access, in whole pages of the guest or of the host
   */
  record MemoryFault(long flags, long guestPhysicalAddress, long sizeBytes) {

    private static final long PRIVATE = 1 << 3;

    boolean isPrivate() {
      return (flags & PRIVATE) != 0;
    }
  }

  /**
   * KVM_EXIT_ARM_SEA.
   *
   * @param flags bit 0: the guest-physical address is valid
   * @param esr ESR_EL2 without what describes the instruction
   * @param guestVirtualAddress valid unless the syndrome's FnV bit is set
   */
  record ArmSea(long flags, long esr, long guestVirtualAddress, long guestPhysicalAddress)
      implements MemoryEvent {

    static final long PHYSICAL_ADDRESS_VALID = 1;
  }

  /**
   * KVM_EXIT_ARM_NISV.
   *
   * @param syndrome {@code esr_iss}
   */
  record ArmNisv(long syndrome, long guestPhysicalAddress) implements MemoryEvent {}
}
