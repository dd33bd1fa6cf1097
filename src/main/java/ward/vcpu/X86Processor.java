package ward.vcpu;

import java.util.Optional;
import ward.kernel.KernelCallException;
import ward.kernel.NativeMemory;

/**
 * A processor that takes machine checks.
 *
 * <p>{@code KVM_X86_SET_MCE} answers 0 and yet shuts the guest down while MCG_STATUS.MCIP is set or
 * CR4.MCE clear ({@code kvm_vcpu_ioctl_x86_set_mce} in arch/x86/kvm/x86.c), so both are read first.
 */
final class X86Processor implements Processor {

  private static final int MP_STATE_RUNNABLE = 0;

  private final KvmVcpu vcpu;
  private CpuVendor vendor;

  X86Processor(KvmVcpu vcpu, CpuVendor vendor) {
    this.vcpu = vcpu;
    this.vendor = vendor;
  }

  /**
   * @param cpuid gets this vCPU's APIC id
   */
  void setCpuid(KvmCpuid cpuid) throws KernelCallException {
    cpuid.setApicId(vcpu.index());
    vcpu.call(KvmRequest.SET_CPUID2, cpuid.memory());
  }

  void setUpMachineChecks(long capabilities) throws KernelCallException {
    NativeMemory argument = NativeMemory.allocate(Long.BYTES);
    argument.putLong(0, capabilities);
    vcpu.call(KvmRequest.X86_SETUP_MCE, argument);
  }

  @Override
  public void restore(VcpuState state) throws KernelCallException {
    byte[] written = state.sections().get(KvmCpuid.SECTION);
    if (written != null) {
      KvmCpuid cpuid = KvmCpuid.of(written);
      vendor = CpuVendor.of(cpuid.vendor());
      setCpuid(cpuid);
    }
    vcpu.call(KvmRequest.SET_SREGS, new KvmSregs(state.section(KvmSregs.SECTION)).memory());
    setRegisters(new KvmRegs(state.section(KvmRegs.SECTION)));
    NativeMemory runnable = NativeMemory.allocate(Integer.BYTES);
    runnable.putInt(0, MP_STATE_RUNNABLE);
    vcpu.call(KvmRequest.SET_MP_STATE, runnable);
  }

  private KvmRegs registers() throws KernelCallException {
    KvmRegs registers = new KvmRegs();
    vcpu.call(KvmRequest.GET_REGS, registers.memory());
    return registers;
  }

  private void setRegisters(KvmRegs registers) throws KernelCallException {
    vcpu.call(KvmRequest.SET_REGS, registers.memory());
  }

  private KvmSregs specialRegisters() throws KernelCallException {
    KvmSregs registers = new KvmSregs();
    vcpu.call(KvmRequest.GET_SREGS, registers.memory());
    return registers;
  }

  /**
   * {@inheritDoc}
   *
   * <p>KVM has no way to drop such an access; it can only be finished, and the registers put back.
   * An instruction with a second memory operand (a string copy out of poison) still stores to it.
   */
  @Override
  public void undoPendingAccess() throws KernelCallException {
    KvmRegs before = registers();
    vcpu.finishPendingAccess();
    setRegisters(before);
  }

  @Override
  public Optional<String> obstacle(MemoryError error) throws KernelCallException {
    if (isMachineCheckInProgress()) {
      return Optional.of("a machine check was in progress (MCG_STATUS.MCIP set)");
    }
    return (specialRegisters().cr4() & KvmSregs.CR4_MCE) != 0
        ? Optional.empty()
        : Optional.of("machine checks were disabled (CR4.MCE clear)");
  }

  private boolean isMachineCheckInProgress() throws KernelCallException {
    KvmMsr status = new KvmMsr(KvmMsr.MCG_STATUS);
    int read = vcpu.call(KvmRequest.GET_MSRS, status.memory());
    if (read != 1) {
      throw new IllegalStateException(vcpu + " has no IA32_MCG_STATUS; KVM_CAP_MCE promised one");
    }
    return (status.data() & KvmMsr.MCG_STATUS_MCIP) != 0;
  }

  @Override
  public Injection inject(MemoryError error) throws KernelCallException {
    MachineCheck check = MachineChecks.encode(vendor, error);
    vcpu.call(KvmRequest.X86_SET_MCE, new KvmX86Mce(check).memory());
    return check;
  }
}
