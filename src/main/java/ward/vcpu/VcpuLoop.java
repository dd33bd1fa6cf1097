package ward.vcpu;

import java.io.IOException;
import java.util.List;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import jnr.constants.platform.Errno;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import ward.guest.GuestExit;
import ward.guest.GuestMemory;
import ward.kernel.Kernel;
import ward.kernel.KernelCallException;
import ward.kernel.Linux;
import ward.kernel.SignalInfo;
import ward.memory.Pages;
import ward.poison.Severity;

/**
 * What the thread of one vCPU does: enter the guest, and see why it came back.
 *
 * <p>There is no signal handler. SIGBUS and the kick are blocked in this thread; KVM unblocks them
 * inside KVM_RUN only ({@code KVM_SET_SIGNAL_MASK}), which returns EINTR while the signal stays
 * pending, and is taken off by sigtimedwait(2). The JVM's own handlers are never touched.
 */
final class VcpuLoop implements Runnable {

  /** SIGRTMIN+4 of glibc: the JVM uses none of the real-time signals. */
  static final int KICK = 38;

  private static final Logger LOG = LoggerFactory.getLogger(VcpuLoop.class);
  private static final long SIGNALS = Linux.signalBit(Linux.SIGBUS) | Linux.signalBit(KICK);
  private static final int EINTR = Errno.EINTR.intValue();
  private static final int NO_THREAD = 0;
  private static final long FIRST_KICK_DELAY_MILLIS = 1;

  /** A guest may leave a deferred error in its bank for minutes. */
  private static final long LAST_KICK_DELAY_MILLIS = 512;

  private final Kernel kernel;
  private final KvmVcpu vcpu;
  private final MemoryErrorRules rules;
  private final Processor processor;
  private final GuestBytes bytes;
  private final MemoryErrorInjector injector;
  private final DeviceBus devices;
  private final ScheduledExecutorService timer;
  private final VcpuListener listener;
  private final SignalInfo signal = new SignalInfo();
  private final VcpuGate gate = new VcpuGate();
  private final Queue<Integer> systemErrors = new ConcurrentLinkedQueue<>();
  private final AtomicBoolean kickIsDue = new AtomicBoolean();
  private long kickDelayMillis = FIRST_KICK_DELAY_MILLIS;
  private int threadId = NO_THREAD;
  private boolean on = true;

  /** Why this vCPU ends the whole guest; empty while it does not. */
  private Optional<GuestExit> exit = Optional.empty();

  /**
   * @param timer runs the kicks that let a waiting error have another try
   * @param listener hears of what concerns the rest of the guest, on this thread
   */
  VcpuLoop(
      Kernel kernel,
      KvmVcpu vcpu,
      Processor processor,
      GuestMemory memory,
      MemoryErrors errors,
      DeviceBus devices,
      ScheduledExecutorService timer,
      VcpuListener listener) {
    this.kernel = kernel;
    this.vcpu = vcpu;
    this.rules = new MemoryErrorRules(vcpu.index(), memory, errors::lostExtentAt);
    this.processor = processor;
    this.bytes = new CopiedGuestBytes(kernel, memory);
    processor.attach(bytes);
    this.injector =
        new MemoryErrorInjector(
            processor, memory, errors, () -> listener.onBroadcast(vcpu.index()));
    this.devices = devices;
    this.timer = timer;
    this.listener = listener;
  }

  int index() {
    return vcpu.index();
  }

  VcpuGate gate() {
    return gate;
  }

  /** Brings the vCPU out of KVM_RUN, from any thread, also out of a wait for a missing page. */
  synchronized void kick() {
    if (threadId != NO_THREAD) {
      kernel.signalThread(threadId, KICK);
    }
  }

  /**
   * Not while a kick is under way: the thread's number may be given to another one once this one
   * has ended, and the kick ends a process that does not expect it.
   */
  private synchronized void becomeThread(int id) {
    threadId = id;
  }

  @Override
  public void run() {
    boolean ended = false;
    try {
      prepareThread();
      if (on && gate.enter()) {
        processor.restoreIntoMemory();
      }
      while (on && exit.isEmpty() && gate.enter()) {
        step();
      }
      ended = !on || exit.isPresent();
    } catch (IOException | RuntimeException | Error e) {
      LOG.error("vCPU {} cannot go on", vcpu.index(), e);
      fail("vCPU %d cannot go on: %s".formatted(vcpu.index(), e.getMessage()));
      ended = true;
    } finally {
      becomeThread(NO_THREAD);
      dropPendingSignals();
      gate.leave();
    }
    if (ended) {
      listener.onEnd(vcpu.index(), exit);
    }
  }

  /**
   * As a thread ends the JVM gives it back the signal mask it began with, and a kick or a SIGBUS
   * that is still pending would then end the process. After {@link #becomeThread} no kick follows.
   */
  private void dropPendingSignals() {
    int number = kernel.takeSignal(SIGNALS, signal, 0);
    while (number > 0) {
      number = kernel.takeSignal(SIGNALS, signal, 0);
    }
  }

  /** Takes over what the vCPU was when it was saved. Before the thread starts. */
  void inherit(VcpuState state) {
    injector.inherit(state.waiting());
    state.unread().ifPresent(processor::inheritUnread);
    on = !state.off();
  }

  /**
   * What the vCPU holds. Only while its thread stands at the gate or has ended.
   *
   * @throws IOException if the access that it is in the middle of ends the guest, or KVM refuses
   */
  VcpuState save() throws IOException {
    if (on) {
      settle();
      injectSErrors();
    }
    if (exit.isPresent()) {
      throw new IOException(exit.get().reason());
    }
    return new VcpuState(
        vcpu.index(), processor.save(), injector.waiting(), processor.unread(), !on);
  }

  private void settle() throws IOException {
    int result = vcpu.completeAccess();
    while (result == 0 && on && exit.isEmpty()) {
      onExit();
      result = vcpu.completeAccess();
    }
    if (result != -EINTR && exit.isEmpty()) {
      throw new KernelCallException(KvmRequest.RUN, vcpu.toString(), -result);
    }
  }

  private void prepareThread() throws KernelCallException {
    int result = kernel.blockSignals(SIGNALS);
    if (result < 0) {
      throw new KernelCallException("pthread_sigmask", "vCPU " + vcpu.index(), -result);
    }
    int early = kernel.hearOfErrorsEarly();
    if (early < 0) {
      LOG.warn(
          "vCPU {} hears of memory errors only when it meets them: {}",
          vcpu.index(),
          KernelCallException.describe(-early));
    }
    vcpu.openToSignals();
    becomeThread(kernel.threadId());
  }

  private void step() throws IOException {
    if (injector.hasWaiting()) {
      scheduleKick();
    }
    if (!systemErrors.isEmpty()) {
      settle();
      injectSErrors();
    }
    if (on && exit.isEmpty()) {
      runGuest();
    }
  }

  private void runGuest() throws IOException {
    int result = vcpu.run();
    if (result == 0) {
      onExit();
    } else if (result == -EINTR) {
      takeSignals();
    } else {
      onRefusal(-result);
    }
    if (injector.deliverWaiting()) {
      kickDelayMillis = FIRST_KICK_DELAY_MILLIS;
    }
  }

  /** Lets an SError be pending for the guest; any thread. */
  void raiseSError(int syndrome) {
    systemErrors.add(syndrome);
    kick();
  }

  private void injectSErrors() throws KernelCallException {
    for (Integer next = systemErrors.poll(); next != null; next = systemErrors.poll()) {
      processor.injectSError(next);
      LOG.info(
          "vCPU {}: an SError is pending, syndrome 0x{}", vcpu.index(), Integer.toHexString(next));
    }
  }

  /**
   * Another vCPU of a processor that interrupts all of them was told of an error.
   *
   * <p>That vCPU's handler now waits for this one's: a Linux guest's for a second by the guest's
   * clock, after which it panics ({@code mce_timed_out} in arch/x86/kernel/cpu/mce/core.c). So the
   * kick matters where this vCPU waits for a missing page; it comes out of that wait at once, but
   * for accesses that KVM itself makes in the guest's place, and on hosts before Linux 6.2, whose
   * page faults inside KVM_RUN no such signal interrupts. There a source that is silent for a
   * second may cost the guest. Guests that have local machine checks, as Linux has since 4.2 where
   * the processor offers them, wait for nobody.
   */
  void hearBroadcast() {
    tell(
        new MemoryError(
            OptionalLong.empty(),
            Severity.ACTION_OPTIONAL,
            Pages.SHIFT,
            MemoryError.Input.BROADCAST,
            vcpu.index()));
  }

  /**
   * Takes back one {@link #hearBroadcast()} that the guest has not taken; whether there was one.
   */
  boolean dropBroadcast() {
    return injector.dropInterrupt();
  }

  boolean hasWaitingAnnouncement() {
    return injector.hasWaiting(MemoryError.Input.ANNOUNCEMENT);
  }

  /** Lets the guest hear of an error on this vCPU, after those that wait already; any thread. */
  void tell(MemoryError error) {
    injector.await(error);
    kick();
  }

  private void onRefusal(int number) throws IOException {
    Errno errno = Errno.valueOf(number);
    if (MemoryEvent.RunFault.speaksOf(errno)) {
      carryOut(rules.decide(runFault(errno)));
    } else {
      fail(
          "KVM_RUN on %s failed: %s, exit reason %d"
              .formatted(vcpu, KernelCallException.describe(number), vcpu.exit().exitReason()));
    }
  }

  private MemoryEvent.RunFault runFault(Errno errno) throws KernelCallException {
    Optional<MemoryEvent.MemoryFault> fault = vcpu.exit().memoryFault();
    List<Long> reach = fault.isPresent() ? List.of() : processor.addressFinder(bytes).reach();
    return new MemoryEvent.RunFault(errno, fault, reach);
  }

  /** A guest that never exits by itself would never let a waiting error in. */
  private void scheduleKick() {
    if (kickIsDue.compareAndSet(false, true)) {
      timer.schedule(this::kickWhenDue, kickDelayMillis, TimeUnit.MILLISECONDS);
      kickDelayMillis = Math.min(2 * kickDelayMillis, LAST_KICK_DELAY_MILLIS);
    }
  }

  private void kickWhenDue() {
    kickIsDue.set(false);
    kick();
  }

  private void onExit() throws IOException {
    KvmRun run = vcpu.exit();
    switch (run.exitReason()) {
      case KvmRun.EXIT_IO -> onIo(run);
      case KvmRun.EXIT_MMIO -> onMmio(run);
      case KvmRun.EXIT_ARM_SEA -> carryOut(rules.decide(run.armSea()));
      case KvmRun.EXIT_ARM_NISV -> carryOut(rules.decide(run.armNisv()));
      case KvmRun.EXIT_SYSTEM_EVENT -> onSystemEvent(run.systemEventType());
      case KvmRun.EXIT_SHUTDOWN ->
          end(GuestExit.Kind.SHUTDOWN, "vCPU %d: triple fault".formatted(vcpu.index()));
      case KvmRun.EXIT_FAIL_ENTRY ->
          fail(
              "vCPU %d: the processor refused to enter the guest, hardware_entry_failure_reason 0x%x"
                  .formatted(vcpu.index(), run.entryFailureReason()));
      case KvmRun.EXIT_INTERNAL_ERROR -> onInternalError(run);
      default ->
          fail(
              "vCPU %d: KVM_RUN returned with exit reason %d, which Ward does not handle"
                  .formatted(vcpu.index(), run.exitReason()));
    }
  }

  private void onInternalError(KvmRun run) throws IOException {
    if (run.internalSuberror() != KvmRun.EMULATION_FAILURE) {
      fail(
          "vCPU %d: KVM_EXIT_INTERNAL_ERROR, suberror %d"
              .formatted(vcpu.index(), run.internalSuberror()));
      return;
    }
    List<Long> reach = processor.addressFinder(bytes).reach();
    MemoryErrorDecision decision = rules.decide(new MemoryEvent.EmulationFailure(reach));
    if (decision.kind() == MemoryErrorDecision.Kind.REPORT) {
      processor.undoFailedEmulation();
    }
    carryOut(decision);
  }

  /** What a guest asks of its machine through its firmware calls (PSCI on arm64). */
  private void onSystemEvent(int type) {
    switch (type) {
      case KvmRun.SYSTEM_EVENT_SHUTDOWN ->
          end(GuestExit.Kind.POWERED_OFF, "the guest switched itself off");
      case KvmRun.SYSTEM_EVENT_RESET -> end(GuestExit.Kind.SHUTDOWN, "the guest asked for a reset");
      case KvmRun.SYSTEM_EVENT_CRASH -> end(GuestExit.Kind.SHUTDOWN, "the guest has crashed");
      default ->
          fail(
              "vCPU %d: KVM_EXIT_SYSTEM_EVENT of type %d, which Ward does not handle"
                  .formatted(vcpu.index(), type));
    }
  }

  private void onIo(KvmRun run) throws IOException {
    carryOut(devices.onIo(vcpu.index(), run));
  }

  private void carryOut(DeviceBus.Outcome outcome) {
    switch (outcome) {
      case RUNS_ON -> {}
      case VCPU_IS_OFF -> on = false;
      case GUEST_IS_OFF -> end(GuestExit.Kind.POWERED_OFF, "the guest switched itself off");
      case GUEST_RESETS ->
          end(GuestExit.Kind.SHUTDOWN, "the guest reset itself; Ward does not start it again");
    }
  }

  private void onMmio(KvmRun run) throws IOException {
    MemoryErrorDecision decision = rules.decide(run.mmio());
    if (decision.kind() == MemoryErrorDecision.Kind.REPORT) {
      processor.undoPendingAccess(bytes);
      carryOut(decision);
    } else {
      carryOut(devices.onMmio(vcpu.index(), run));
    }
  }

  private void takeSignals() throws IOException {
    int number = kernel.takeSignal(SIGNALS, signal, 0);
    while (number > 0) {
      if (number == Linux.SIGBUS) {
        carryOut(
            rules.decide(
                new MemoryEvent.BusError(signal.code(), signal.address(), signal.addressLsb())));
      }
      number = kernel.takeSignal(SIGNALS, signal, 0);
    }
  }

  private void carryOut(MemoryErrorDecision decision) throws IOException {
    switch (decision.kind()) {
      case REPORT ->
          injector
              .report(decision.error().orElseThrow())
              .ifPresent(reason -> end(GuestExit.Kind.SHUTDOWN, reason));
      case IGNORE -> LOG.warn("vCPU {} ignores {}", vcpu.index(), decision.reason());
      case REFUSE -> {
        LOG.info("vCPU {} takes a bus abort: {}", vcpu.index(), decision.reason());
        processor.refuseAccess();
      }
      case FAIL -> fail("vCPU %d: %s".formatted(vcpu.index(), decision.reason()));
    }
  }

  private void fail(String reason) {
    end(GuestExit.Kind.FAILED, reason);
  }

  private void end(GuestExit.Kind kind, String reason) {
    if (exit.isEmpty()) {
      exit = Optional.of(new GuestExit(kind, reason));
    }
  }
}
