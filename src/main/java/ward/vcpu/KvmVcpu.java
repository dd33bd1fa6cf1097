package ward.vcpu;

import jnr.constants.platform.Errno;
import ward.kernel.Fd;
import ward.kernel.Ioctl;
import ward.kernel.Kernel;
import ward.kernel.KernelCallException;
import ward.kernel.NativeMemory;

/** One virtual processor. Used by one thread at a time. */
final class KvmVcpu implements MachineCheckTarget, AutoCloseable {

  private static final int MP_STATE_RUNNABLE = 0;

  /**
   * The widest load has 64 bytes, KVM hands over 8 at a time, and a string copy has two operands.
   */
  private static final int FRAGMENTS_MAX = 64;

  private final Kernel kernel;
  private final Fd fd;
  private final int index;
  private final NativeMemory runPage;
  private final KvmRun run;

  KvmVcpu(Kernel kernel, Fd fd, int index, NativeMemory runPage) {
    this.kernel = kernel;
    this.fd = fd;
    this.index = index;
    this.runPage = runPage;
    this.run = new KvmRun(runPage);
  }

  int index() {
    return index;
  }

  KvmRun exit() {
    return run;
  }

  /** Runs the guest: 0 for an exit, or {@code -errno}; {@code -EINTR} after a signal. */
  int run() {
    return kernel.ioctl(fd, KvmRequest.RUN, 0);
  }

  void setCpuid(KvmCpuid cpuid) throws KernelCallException {
    call(KvmRequest.SET_CPUID2, cpuid.memory());
  }

  void setUpMachineChecks(long capabilities) throws KernelCallException {
    NativeMemory argument = NativeMemory.allocate(Long.BYTES);
    argument.putLong(0, capabilities);
    call(KvmRequest.X86_SETUP_MCE, argument);
  }

  /** Lets every signal end KVM_RUN, also those that the thread blocks. */
  void openToSignals() throws KernelCallException {
    call(KvmRequest.SET_SIGNAL_MASK, new KvmSignalMask().memory());
  }

  void setState(VcpuState state) throws KernelCallException {
    call(KvmRequest.SET_SREGS, new KvmSregs(state.sregs()).memory());
    setRegisters(new KvmRegs(state.regs()));
    NativeMemory runnable = NativeMemory.allocate(Integer.BYTES);
    runnable.putInt(0, MP_STATE_RUNNABLE);
    call(KvmRequest.SET_MP_STATE, runnable);
  }

  KvmRegs registers() throws KernelCallException {
    KvmRegs registers = new KvmRegs();
    call(KvmRequest.GET_REGS, registers.memory());
    return registers;
  }

  private void setRegisters(KvmRegs registers) throws KernelCallException {
    call(KvmRequest.SET_REGS, registers.memory());
  }

  private KvmSregs specialRegisters() throws KernelCallException {
    KvmSregs registers = new KvmSregs();
    call(KvmRequest.GET_SREGS, registers.memory());
    return registers;
  }

  /**
   * Ends the memory access for which KVM_RUN returned KVM_EXIT_MMIO, and puts the registers back,
   * so that the guest stands before the instruction and has loaded nothing. KVM has no way to drop
   * such an access; it can only be finished.
   *
   * <p>An instruction with a second memory operand (a string copy out of poison) still stores to
   * it.
   */
  void undoPendingAccess() throws KernelCallException {
    KvmRegs before = registers();
    run.immediateExit(true);
    try {
      finishPendingAccess();
    } finally {
      run.immediateExit(false);
    }
    setRegisters(before);
  }

  private void finishPendingAccess() throws KernelCallException {
    for (int i = 0; i < FRAGMENTS_MAX; i++) {
      run.answerMmioWithOnes();
      int result = run();
      if (result == -Errno.EINTR.intValue()) {
        return;
      }
      if (result < 0) {
        throw new KernelCallException(KvmRequest.RUN, fd, -result);
      }
    }
    throw new IllegalStateException(
        "%s: one instruction made more than %d memory accesses".formatted(fd, FRAGMENTS_MAX));
  }

  @Override
  public boolean takesMachineChecks() throws KernelCallException {
    return (specialRegisters().cr4() & KvmSregs.CR4_MCE) != 0;
  }

  @Override
  public boolean isMachineCheckInProgress() throws KernelCallException {
    KvmMsr status = new KvmMsr(KvmMsr.MCG_STATUS);
    int read = call(KvmRequest.GET_MSRS, status.memory());
    if (read != 1) {
      throw new IllegalStateException(fd + " has no IA32_MCG_STATUS; KVM_CAP_MCE promised one");
    }
    return (status.data() & KvmMsr.MCG_STATUS_MCIP) != 0;
  }

  @Override
  public void deliver(MachineCheck check) throws KernelCallException {
    call(KvmRequest.X86_SET_MCE, new KvmX86Mce(check).memory());
  }

  private int call(Ioctl request, long argument) throws KernelCallException {
    return KvmCall.make(kernel, fd, request, argument);
  }

  private int call(Ioctl request, NativeMemory argument) throws KernelCallException {
    return KvmCall.make(kernel, fd, request, argument);
  }

  @Override
  public void close() {
    kernel.unmap(runPage.address(), runPage.sizeBytes());
    fd.close();
  }

  @Override
  public String toString() {
    return fd.toString();
  }
}
