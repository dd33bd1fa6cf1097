package ward.vcpu;

import java.io.IOException;
import java.util.Arrays;
import java.util.Map;
import java.util.Optional;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import ward.kernel.KernelCallException;
import ward.kernel.NativeMemory;
import ward.memory.Pages;

/**
 * A processor that takes machine checks.
 *
 * <p>{@code KVM_X86_SET_MCE} answers 0 and yet shuts the guest down while MCG_STATUS.MCIP is set or
 * CR4.MCE clear ({@code kvm_vcpu_ioctl_x86_set_mce} in arch/x86/kvm/x86.c), so both are read first.
 */
final class X86Processor implements Processor {

  private static final Logger LOG = LoggerFactory.getLogger(X86Processor.class);
  private static final long ALL_ONES = -1;
  private static final int RCX = 1;
  private static final int RDI = 7;

  private final KvmVcpu vcpu;
  private final X86State state;
  private CpuSignature signature;
  private long machineCheckCapabilities;
  private Optional<MemoryError> deferred = Optional.empty();

  X86Processor(KvmVcpu vcpu, X86State state) {
    this.vcpu = vcpu;
    this.state = state;
  }

  /**
   * Makes the processor what CPUID says; before that it takes no errors.
   *
   * @param cpuid gets this vCPU's APIC id
   */
  void setCpuid(KvmCpuid cpuid) throws KernelCallException {
    cpuid.setApicId(vcpu.index());
    vcpu.call(KvmRequest.SET_CPUID2, cpuid.memory());
    signature = cpuid.signature();
  }

  /**
   * @param capabilities IA32_MCG_CAP, the number of banks included
   */
  void setUpMachineChecks(long capabilities) throws KernelCallException {
    NativeMemory argument = NativeMemory.allocate(Long.BYTES);
    argument.putLong(0, capabilities);
    vcpu.call(KvmRequest.X86_SETUP_MCE, argument);
    machineCheckCapabilities = capabilities;
    if (has(MachineChecks.LOCAL_SUPPORTED)) {
      allowLocalMachineChecks();
    }
  }

  private boolean has(long capability) {
    return (machineCheckCapabilities & capability) != 0;
  }

  /** As a machine's firmware does; without it the guest's kernel leaves them off. */
  private void allowLocalMachineChecks() throws KernelCallException {
    KvmMsr control = new KvmMsr(KvmMsr.FEATURE_CONTROL);
    control.data(KvmMsr.FEATURE_CONTROL_LOCKED_WITH_LOCAL_CHECKS);
    int written = vcpu.call(KvmRequest.SET_MSRS, control.memory());
    if (written != 1) {
      LOG.warn("{} lets no guest enable local machine checks; all vCPUs will hear of each", vcpu);
    }
  }

  @Override
  public Map<String, byte[]> save() throws KernelCallException {
    return state.save();
  }

  @Override
  public void restore(VcpuState saved) throws IOException {
    state.restore(saved);
  }

  @Override
  public void restoreIntoMemory() throws IOException {
    state.restoreIntoMemory();
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

  @Override
  public AddressFinder addressFinder(GuestBytes memory) throws KernelCallException {
    return new X86AddressFinder(registers(), specialRegisters(), memory);
  }

  /**
   * {@inheritDoc}
   *
   * <p>KVM has no way to drop such an access; it can only be finished, and the registers put back.
   * What the instruction would store meanwhile it must not: a repeated string instruction is made
   * to end after this once, and one that copies out of lost memory is given what its destination
   * holds already. After a store the guest stands behind the instruction; see {@link X86Store}.
   */
  @Override
  public void undoPendingAccess(GuestBytes memory) throws KernelCallException {
    KvmRegs general = registers();
    KvmSregs special = specialRegisters();
    if (vcpu.exit().mmioIsWrite()) {
      KvmRegs before = beforeStore(general, special, memory);
      vcpu.finishPendingAccess(new byte[0]);
      setRegisters(before);
    } else {
      undoLoad(general, special, memory);
    }
  }

  private KvmRegs beforeStore(KvmRegs after, KvmSregs special, GuestBytes memory) {
    KvmRun exit = vcpu.exit();
    return new X86Store(after, special, memory, exit.mmio(), exit.mmioSizeBytes())
        .before()
        .orElse(after);
  }

  private void undoLoad(KvmRegs general, KvmSregs special, GuestBytes memory)
      throws KernelCallException {
    byte[] extended = state.xsave();
    setRegisters(withOneRepetition(general));
    vcpu.finishPendingAccess(stringDestination(general, special, memory));
    setRegisters(general);
    if (!Arrays.equals(special.toBytes(), specialRegisters().toBytes())) {
      vcpu.call(KvmRequest.SET_SREGS, special.memory());
    }
    if (!Arrays.equals(extended, state.xsave())) {
      state.xsave(extended);
    }
  }

  /** Not none: KVM would then give what was loaded to whatever instruction loads next. */
  private static KvmRegs withOneRepetition(KvmRegs general) {
    KvmRegs changed = new KvmRegs(general.toBytes());
    changed.general(RCX, 1);
    return changed;
  }

  /** {@code KVM_SET_REGS} drops the invalid opcode exception that KVM has ready for the guest. */
  @Override
  public void undoFailedEmulation() throws KernelCallException {
    setRegisters(registers());
  }

  /** What is in memory where a string instruction would store; empty where nothing can be read. */
  private static byte[] stringDestination(KvmRegs general, KvmSregs special, GuestBytes memory) {
    X86Translation place = new X86Paging(special, memory).translate(general.general(RDI));
    if (place.kind() != X86Translation.Kind.MAPPED) {
      return new byte[0];
    }
    long left = Pages.SIZE_BYTES - (place.address() - Pages.align(place.address()));
    return memory.read(place.address(), (int) Math.min(Long.BYTES, left)).orElse(new byte[0]);
  }

  @Override
  public Optional<String> obstacle(MemoryError error) throws KernelCallException {
    MachineCheck check = MachineChecks.encode(signature.vendor(), error);
    if (!MachineChecks.interrupts(check)) {
      return isBankRead(check.bank())
          ? Optional.empty()
          : Optional.of("the error before it was still in its bank (VAL set)");
    }
    if ((register(KvmMsr.MCG_STATUS) & KvmMsr.MCG_STATUS_MCIP) != 0) {
      return Optional.of("a machine check was in progress (MCG_STATUS.MCIP set)");
    }
    if ((specialRegisters().cr4() & KvmSregs.CR4_MCE) == 0) {
      return Optional.of("machine checks were disabled (CR4.MCE clear)");
    }
    return areUncorrectedErrorsReported(check.bank())
        ? Optional.empty()
        : Optional.of(
            "machine checks were switched off (MCG_CTL or MC%d_CTL not all ones)"
                .formatted(check.bank()));
  }

  private boolean isBankRead(int bank) throws KernelCallException {
    return (register(KvmMsr.bankStatus(bank)) & MachineChecks.VALID) == 0;
  }

  /** KVM would drop the machine check, and the guest meet the same error again, for ever. */
  private boolean areUncorrectedErrorsReported(int bank) throws KernelCallException {
    boolean globally =
        !has(MachineChecks.GLOBAL_CONTROL_SUPPORTED) || register(KvmMsr.MCG_CTL) == ALL_ONES;
    return globally && register(KvmMsr.bankControl(bank)) == ALL_ONES;
  }

  private long register(int index) throws KernelCallException {
    KvmMsr register = new KvmMsr(index);
    int read = vcpu.call(KvmRequest.GET_MSRS, register.memory());
    if (read != 1) {
      throw new IllegalStateException(
          "%s has no MSR 0x%x, which a guest with machine checks has".formatted(vcpu, index));
    }
    return register.data();
  }

  @Override
  public Injection inject(MemoryError error) throws KernelCallException {
    MachineCheck encoded = MachineChecks.encode(signature.vendor(), error);
    MachineCheck check = hasLocalMachineChecks() ? MachineChecks.local(encoded) : encoded;
    vcpu.call(KvmRequest.X86_SET_MCE, new KvmX86Mce(check).memory());
    deferred = MachineChecks.interrupts(check) ? Optional.empty() : Optional.of(error);
    return check;
  }

  @Override
  public boolean interruptsAll() throws KernelCallException {
    return signature.broadcastsMachineChecks() && !hasLocalMachineChecks();
  }

  /** What the guest itself has chosen, in a register that only exists with the capability. */
  private boolean hasLocalMachineChecks() throws KernelCallException {
    return has(MachineChecks.LOCAL_SUPPORTED)
        && (register(KvmMsr.MCG_EXT_CTL) & KvmMsr.MCG_EXT_CTL_LOCAL) != 0;
  }

  @Override
  public void inheritUnread(MemoryError error) {
    deferred = Optional.of(error);
  }

  @Override
  public Optional<MemoryError> unread() throws KernelCallException {
    return deferred.isPresent() && !isBankRead(MachineChecks.BANK) ? deferred : Optional.empty();
  }

  /**
   * {@inheritDoc}
   *
   * <p>KVM sets OVER in an error that finds its bank valid: "an event was lost". None is, since
   * what was withdrawn is told again, and a Linux guest without OVERFLOW_RECOV would panic for it
   * ({@code mce_severity_amd} in arch/x86/kernel/cpu/mce/severity.c).
   */
  @Override
  public Optional<MemoryError> withdrawUnread() throws KernelCallException {
    Optional<MemoryError> unread = unread();
    if (unread.isPresent()) {
      clearBank(MachineChecks.BANK);
    }
    return unread;
  }

  private void clearBank(int bank) throws KernelCallException {
    KvmMsr status = new KvmMsr(KvmMsr.bankStatus(bank));
    status.data(0);
    if (vcpu.call(KvmRequest.SET_MSRS, status.memory()) != 1) {
      throw new IllegalStateException("%s does not let bank %d be cleared".formatted(vcpu, bank));
    }
    deferred = Optional.empty();
  }
}
