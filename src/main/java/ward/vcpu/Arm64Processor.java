package ward.vcpu;

import java.io.IOException;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import jnr.constants.platform.Errno;
import ward.kernel.KernelCallException;
import ward.kernel.NativeMemory;
import ward.memory.Pages;
import ward.poison.Severity;
import ward.vcpu.Arm64ExceptionEntry.Abort;

/**
 * A processor that takes synchronous external aborts.
 *
 * <p>KVM delivers those of data accesses ({@code ext_dabt_pending}): FAR_EL1 is then the address of
 * the abort that made it come back. Those of instruction fetches, and those whose address is not
 * known, it cannot; the guest is put at its vector here, as a processor does it.
 */
final class Arm64Processor implements Processor {

  /** PSTATE.SP: EL1 uses its own stack pointer and not EL0's. */
  private static final long OWN_STACK = 1;

  private static final long PAN_MASK = 0xf << 20;

  private final KvmVcpu vcpu;
  private final Arm64State state;
  private GuestBytes memory = (address, lengthBytes) -> Optional.empty();

  /** Where the last abort left the guest; empty before the first. */
  private OptionalLong entered = OptionalLong.empty();

  Arm64Processor(KvmVcpu vcpu, Arm64State state) {
    this.vcpu = vcpu;
    this.state = state;
  }

  @Override
  public void attach(GuestBytes guestMemory) {
    memory = guestMemory;
  }

  @Override
  public Map<String, byte[]> save() throws KernelCallException {
    return state.save();
  }

  @Override
  public void restore(VcpuState saved) throws IOException {
    state.restore(saved);
  }

  /**
   * {@inheritDoc}
   *
   * <p>Nothing is to be done: an abort that follows takes the access's place ({@code
   * KVM_SET_VCPU_EVENTS} in Documentation/virt/kvm/api.rst).
   */
  @Override
  public void undoPendingAccess(GuestBytes guestMemory) {}

  /**
   * {@inheritDoc}
   *
   * <p>An abort cannot be held back by the guest. But one that meets it again at the vector's first
   * instruction would find the saved state of the one before overwritten, without end.
   */
  @Override
  public Optional<String> obstacle(MemoryError error) throws KernelCallException {
    if (error.severity() == Severity.ACTION_OPTIONAL) {
      return Optional.of("an arm64 guest only hears of an optional error from its firmware");
    }
    return entered.isPresent() && register(Arm64Registers.PC) == entered.getAsLong()
        ? Optional.of(
            "it had not left the vector of the abort before (0x%x)".formatted(entered.getAsLong()))
        : Optional.empty();
  }

  @Override
  public ExternalAbort inject(MemoryError error) throws KernelCallException {
    if (isFetch(error)) {
      return enter(Abort.INSTRUCTION, OptionalLong.of(register(Arm64Registers.PC)));
    }
    return hasNoAddress(error) ? enter(Abort.DATA, OptionalLong.empty()) : pend();
  }

  /** The syndrome said so, in which case what KVM keeps of the address is not one either. */
  private static boolean hasNoAddress(MemoryError error) {
    return error.input() == MemoryError.Input.ARM_SEA
        && error.access().guestVirtualAddress().isEmpty();
  }

  /** A signal does not say so, but what could not be fetched lies where the guest stands. */
  private boolean isFetch(MemoryError error) throws KernelCallException {
    return switch (error.access().kind()) {
      case FETCH -> true;
      case LOAD, STORE -> false;
      case UNKNOWN ->
          error.guestPhysicalAddress().isPresent()
              && isAt(error.guestPhysicalAddress().getAsLong(), register(Arm64Registers.PC));
    };
  }

  private boolean isAt(long page, long guestVirtualAddress) throws KernelCallException {
    OptionalLong found = translation().walk(guestVirtualAddress).address();
    return found.isPresent() && Pages.align(found.getAsLong()) == page;
  }

  private Arm64Translation translation() throws KernelCallException {
    return new Arm64Translation(
        new Arm64Translation.Control(
            register(Arm64Registers.SCTLR_EL1),
            register(Arm64Registers.TCR_EL1),
            register(Arm64Registers.TTBR0_EL1),
            register(Arm64Registers.TTBR1_EL1)),
        memory);
  }

  @Override
  public AddressFinder addressFinder(GuestBytes guestMemory) throws KernelCallException {
    long pc = register(Arm64Registers.PC);
    return new Arm64AddressFinder(
        pc, translation(), guestMemory, instruction -> operand(instruction, pc));
  }

  private Optional<Arm64Decoder.Operand> operand(int instruction, long pc) {
    try {
      return new Arm64Decoder(instruction, pc, this::generalRegister).operand();
    } catch (KernelCallException e) {
      throw new IllegalStateException("%s: its registers cannot be read".formatted(vcpu), e);
    }
  }

  private long generalRegister(int number) throws KernelCallException {
    if (number != Arm64Decoder.STACK_POINTER) {
      return register(Arm64Registers.x(number));
    }
    boolean own = (register(Arm64Registers.PSTATE) & OWN_STACK) != 0;
    return register(own ? Arm64Registers.SP_EL1 : Arm64Registers.SP);
  }

  @Override
  public void refuseAccess() throws KernelCallException {
    pend();
  }

  /** What is pending already (an SError) stays so. */
  private ExternalAbort pend() throws KernelCallException {
    NativeMemory events = events();
    events.putByte(Arm64State.EXT_DABT_PENDING, (byte) 1);
    vcpu.call(KvmRequest.SET_VCPU_EVENTS, events);
    commit();
    return entered(OptionalLong.of(register(Arm64Registers.FAR_EL1)));
  }

  private NativeMemory events() throws KernelCallException {
    NativeMemory events = NativeMemory.allocate(Arm64State.EVENTS_BYTES);
    vcpu.call(KvmRequest.GET_VCPU_EVENTS, events);
    return events;
  }

  /**
   * Lets KVM put the guest at its vector, without running it: older kernels do so only here, and
   * until then show registers that are no longer the guest's.
   */
  private void commit() throws KernelCallException {
    int result = vcpu.completeAccess();
    if (result != -Errno.EINTR.intValue()) {
      throw new KernelCallException(KvmRequest.RUN, vcpu.toString(), -result);
    }
  }

  private ExternalAbort entered(OptionalLong far) throws KernelCallException {
    long vector = register(Arm64Registers.PC);
    entered = OptionalLong.of(vector);
    return new ExternalAbort(register(Arm64Registers.ESR_EL1), far, vector);
  }

  private ExternalAbort enter(Abort abort, OptionalLong far) throws KernelCallException {
    Arm64ExceptionEntry.Before before = before();
    Arm64ExceptionEntry entry = Arm64ExceptionEntry.of(abort, far.isPresent(), before);
    set(Arm64Registers.ELR_EL1, register(Arm64Registers.PC));
    set(Arm64Registers.SPSR_EL1, before.pstate());
    set(Arm64Registers.ESR_EL1, entry.esr());
    if (far.isPresent()) {
      set(Arm64Registers.FAR_EL1, far.getAsLong());
    }
    set(Arm64Registers.PSTATE, entry.pstate());
    set(Arm64Registers.PC, entry.pc());
    return entered(far);
  }

  private Arm64ExceptionEntry.Before before() throws KernelCallException {
    return new Arm64ExceptionEntry.Before(
        register(Arm64Registers.PSTATE),
        register(Arm64Registers.VBAR_EL1),
        register(Arm64Registers.SCTLR_EL1),
        (register(Arm64Registers.ID_AA64MMFR1_EL1) & PAN_MASK) != 0);
  }

  private long register(long id) throws KernelCallException {
    return KvmOneReg.getLong(vcpu, id);
  }

  private void set(long id, long value) throws KernelCallException {
    KvmOneReg.setLong(vcpu, id, value);
  }

  /** {@inheritDoc} PSTATE.A masks them. */
  @Override
  public void injectSError(int syndrome) throws KernelCallException {
    NativeMemory events = events();
    events.putByte(Arm64State.SERROR_PENDING, (byte) 1);
    events.putByte(Arm64State.SERROR_HAS_ESR, (byte) 1);
    events.putLong(Arm64State.SERROR_ESR, syndrome);
    try {
      vcpu.call(KvmRequest.SET_VCPU_EVENTS, events);
    } catch (KernelCallException e) {
      if (!e.is(Errno.EINVAL)) {
        throw e;
      }
      events.putByte(Arm64State.SERROR_HAS_ESR, (byte) 0);
      events.putLong(Arm64State.SERROR_ESR, 0);
      vcpu.call(KvmRequest.SET_VCPU_EVENTS, events);
    }
  }
}
