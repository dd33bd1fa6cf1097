package ward.vcpu;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.lang.reflect.Proxy;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.function.UnaryOperator;
import jnr.constants.platform.Errno;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import ward.guest.GuestExit;
import ward.kernel.Kernel;
import ward.kernel.KernelCallException;
import ward.kernel.Linux;

/** The loop runs on the test's own thread, against a vCPU with a script. */
@Timeout(30)
class VcpuLoopTest {

  private static final int EXIT_HYPERCALL = 3;

  private final ScheduledExecutorService timer = Executors.newSingleThreadScheduledExecutor();
  private final ScriptedVcpu script = new ScriptedVcpu();
  private final RecordedErrors errors = new RecordedErrors();
  private final List<Optional<GuestExit>> ends = new ArrayList<>();
  private int broadcasts;

  @AfterEach
  void stopTheTimer() {
    timer.shutdownNow();
  }

  private VcpuLoop loop(MemoryErrors books) throws KernelCallException {
    return loop(books, processor -> processor);
  }

  private VcpuLoop loop(MemoryErrors books, UnaryOperator<Processor> seen)
      throws KernelCallException {
    Kernel kernel = script.kernel();
    KvmVcpu vcpu = script.vcpu(kernel);
    return new VcpuLoop(
        kernel,
        vcpu,
        seen.apply(script.processor(vcpu, CpuVendor.INTEL)),
        SmallMemory.of(),
        books,
        new DeviceBus((index, value) -> {}),
        timer,
        new Listener());
  }

  private final class Listener implements VcpuListener {

    @Override
    public void onEnd(int vcpu, Optional<GuestExit> exit) {
      ends.add(exit);
    }

    @Override
    public void onBroadcast(int vcpu) {
      broadcasts++;
    }
  }

  private void run() throws KernelCallException {
    VcpuLoop loop = loop(errors);
    loop.gate().resume();
    loop.run();
  }

  private void assertEndsWith(GuestExit.Kind kind, String reason) throws KernelCallException {
    run();

    assertThat(ends).containsExactly(Optional.of(new GuestExit(kind, reason)));
  }

  @Test
  void aVcpuThatSwitchesItselfOffEndsWithoutAnExitOfTheGuest() throws KernelCallException {
    run();

    assertThat(ends).containsExactly(Optional.empty());
  }

  @Test
  void aGuestThatSwitchesItselfOffEndsWhole() throws Exception {
    script.thenOut(DeviceBus.MACHINE_OFF, 0);

    assertEndsWith(GuestExit.Kind.POWERED_OFF, "the guest switched itself off");
  }

  @Test
  void aGuestThatResetsItselfEndsAndIsNotStartedAgain() throws Exception {
    script.thenOut(DeviceBus.KEYBOARD_CONTROLLER, DeviceBus.PULSE_RESET);

    assertEndsWith(GuestExit.Kind.SHUTDOWN, "the guest reset itself; Ward does not start it again");
  }

  @Test
  void aVcpuThatIsStoppedTellsNobody() throws KernelCallException {
    VcpuLoop loop = loop(errors);
    loop.gate().end();

    loop.run();

    assertThat(ends).isEmpty();
  }

  @Test
  void aKickAloneChangesNothing() throws KernelCallException {
    script.thenInterrupt(script::pendKick);

    run();

    assertThat(ends).containsExactly(Optional.empty());
    assertThat(errors.events()).isEmpty();
  }

  @Test
  void aRequiredErrorIsDeliveredEvenIfAnOptionalOneWasTakenBeforeIt() throws KernelCallException {
    script.thenInterrupt(
        () -> {
          script.pendBusError(Linux.BUS_MCEERR_AO, SmallMemory.LOW_HVA + 0x1000);
          script.pendBusError(Linux.BUS_MCEERR_AR, SmallMemory.LOW_HVA + 0x2000);
        });

    run();

    assertThat(script.changes).containsExactly("check 0x2000");
    assertThat(errors.consumed()).hasSize(2);
    assertThat(ends).containsExactly(Optional.empty());
  }

  @Test
  void anOptionalErrorThatWaitsIsDeliveredOnceTheGuestHasFinishedWithTheLastOne()
      throws KernelCallException {
    script.registers.put(KvmMsr.MCG_STATUS, KvmMsr.MCG_STATUS_MCIP);
    script.thenInterrupt(
        () -> script.pendBusError(Linux.BUS_MCEERR_AO, SmallMemory.LOW_HVA + 0x1000));
    script.thenInterrupt(this::awaitKick);
    script.thenInterrupt(script::finishMachineCheck);

    run();

    assertThat(script.sent).contains("38 to " + ScriptedVcpu.THREAD);
    assertThat(script.changes).containsExactly("check 0x1000");
    assertThat(errors.injected()).hasSize(1);
  }

  @Test
  void anErrorOnOneProcessorOfAnIntelGuestInterruptsTheOthers() throws KernelCallException {
    script.thenInterrupt(
        () -> script.pendBusError(Linux.BUS_MCEERR_AR, SmallMemory.LOW_HVA + 0x2000));

    run();

    assertThat(broadcasts).isEqualTo(1);
  }

  @Test
  void anErrorOfAnotherVcpuIsDeliveredHereWhenThisOneCanTakeIt() throws KernelCallException {
    VcpuLoop loop = loop(errors);
    script.registers.put(KvmMsr.MCG_STATUS, KvmMsr.MCG_STATUS_MCIP);
    script.thenInterrupt(loop::hearBroadcast);
    script.thenInterrupt(script::finishMachineCheck);
    loop.gate().resume();

    loop.run();

    assertThat(errors.consumed()).isEmpty();
    assertThat(errors.injected())
        .extracting(MemoryErrorEvent::injection)
        .containsExactly(new MachineCheck(1, 0xa000000000000000L, 0, 0, 5));
    assertThat(broadcasts).as("it is not passed on again").isZero();
  }

  /** A guest that never exits by itself comes out only because the loop has itself kicked. */
  private void awaitKick() {
    while (script.sent.isEmpty()) {
      Thread.onSpinWait();
    }
  }

  @Test
  void anMmioExitInRamPutsTheGuestBackBeforeTheLoad() throws KernelCallException {
    script.thenMmio(0x3008);

    run();

    assertThat(script.changes).containsExactly("rip 0x6000", "rip 0x6000", "check 0x3000");
    assertThat(script.rip).isEqualTo(0x6000);
  }

  @Test
  void anMmioExitOutsideRamIsAnsweredByTheBus() throws KernelCallException {
    script.thenMmio(0xfed00000L);

    run();

    assertThat(script.changes).isEmpty();
    assertThat(errors.events()).isEmpty();
  }

  @Test
  void aLossThatCannotBeRecordedFailsTheGuestAndIsNotDelivered() throws KernelCallException {
    VcpuLoop loop = loop(new FullDisk());
    script.thenInterrupt(
        () -> script.pendBusError(Linux.BUS_MCEERR_AR, SmallMemory.LOW_HVA + 0x2000));
    loop.gate().resume();

    loop.run();

    assertThat(ends)
        .containsExactly(
            Optional.of(
                new GuestExit(
                    GuestExit.Kind.FAILED, "vCPU 0 cannot go on: no space left for the ledger")));
    assertThat(script.changes).isEmpty();
  }

  private static final class FullDisk implements MemoryErrors {

    @Override
    public boolean isKnown(long guestPhysicalAddress) {
      return false;
    }

    @Override
    public void consumed(MemoryError error) throws IOException {
      throw new IOException("no space left for the ledger");
    }

    @Override
    public void injected(MemoryErrorEvent event) {
      throw new AssertionError("the guest heard of " + event);
    }
  }

  @Test
  void aRequiredErrorDuringAMachineCheckShutsTheGuestDown() throws KernelCallException {
    script.registers.put(KvmMsr.MCG_STATUS, KvmMsr.MCG_STATUS_MCIP);
    script.thenInterrupt(
        () -> script.pendBusError(Linux.BUS_MCEERR_AR, SmallMemory.LOW_HVA + 0x2000));

    assertEndsWith(
        GuestExit.Kind.SHUTDOWN,
        "vCPU 0 consumed poison at GPA 0x2000 while a machine check was in progress"
            + " (MCG_STATUS.MCIP set)");
  }

  @Test
  void aBusErrorOutsideTheGuestFailsIt() throws KernelCallException {
    script.thenInterrupt(() -> script.pendBusError(Linux.BUS_MCEERR_AR, 0x1000));

    assertEndsWith(
        GuestExit.Kind.FAILED,
        "vCPU 0: hardware memory error at host address 0x1000, outside guest memory");
  }

  @Test
  void aTripleFaultIsAShutdown() throws KernelCallException {
    script.thenExit(KvmRun.EXIT_SHUTDOWN, () -> {});

    assertEndsWith(GuestExit.Kind.SHUTDOWN, "vCPU 0: triple fault");
  }

  @Test
  void aRefusedEntryNamesTheProcessorsReason() throws KernelCallException {
    script.thenExit(KvmRun.EXIT_FAIL_ENTRY, () -> script.union(0x80000021L));

    assertEndsWith(
        GuestExit.Kind.FAILED,
        "vCPU 0: the processor refused to enter the guest, hardware_entry_failure_reason"
            + " 0x80000021");
  }

  @Test
  void anInternalErrorNamesItsSuberror() throws KernelCallException {
    script.thenExit(KvmRun.EXIT_INTERNAL_ERROR, () -> script.union(3));

    assertEndsWith(GuestExit.Kind.FAILED, "vCPU 0: KVM_EXIT_INTERNAL_ERROR, suberror 3");
  }

  @Test
  void anInstructionThatKvmCannotEmulateFailsTheGuestUnlessALossExplainsIt()
      throws KernelCallException {
    script.thenExit(KvmRun.EXIT_INTERNAL_ERROR, () -> script.union(1));

    assertEndsWith(
        GuestExit.Kind.FAILED,
        "vCPU 0: KVM_EXIT_INTERNAL_ERROR, suberror 1: KVM cannot emulate an instruction");
  }

  @Test
  void anExitThatWardDoesNotHandleFailsTheGuestWithItsNumber() throws KernelCallException {
    script.thenExit(EXIT_HYPERCALL, () -> {});

    assertEndsWith(
        GuestExit.Kind.FAILED,
        "vCPU 0: KVM_RUN returned with exit reason 3, which Ward does not handle");
  }

  @Test
  void aRunThatFailsNamesTheErrno() throws KernelCallException {
    script.thenFail(Errno.ENXIO);

    run();

    assertThat(ends.get(0).orElseThrow().reason())
        .startsWith("KVM_RUN on kvm-vcpu-0#9 failed: ")
        .contains("ENXIO")
        .endsWith(", exit reason 0");
  }

  @Test
  void aRunThatCannotReachMemoryAndSaysNotWhereFailsTheGuest() throws KernelCallException {
    script.thenFail(Errno.EFAULT);

    assertEndsWith(
        GuestExit.Kind.FAILED,
        "vCPU 0: KVM_RUN failed with EFAULT and says not where, and nothing that is known to be"
            + " lost is in the instruction's reach: guest memory is not backed");
  }

  /** Without paging, and with code that cannot be read. */
  @Test
  void aRunThatSaysNotWhereIsFollowedThroughTheInstruction() throws KernelCallException {
    script.rip = 0x6008;
    errors.know(0x6000);
    script.thenFail(Errno.EFAULT);

    run();

    assertThat(script.changes).containsExactly("check 0x6000");
    assertThat(ends).containsExactly(Optional.empty());
  }

  @ParameterizedTest
  @EnumSource(
      value = Errno.class,
      names = {"EFAULT", "EHWPOISON"})
  void aMemoryFaultThatComesWithAFailedRunIsDelivered(Errno errno) throws KernelCallException {
    errors.know(0x4000);
    script.thenFail(errno, () -> script.memoryFault(0x4000));

    run();

    assertThat(script.changes).containsExactly("check 0x4000");
    assertThat(ends).containsExactly(Optional.empty());
  }

  /**
   * The fields are still in the page that KVM and the loop share, but this run did not set them.
   */
  @Test
  void theFieldsOfAnEarlierMemoryFaultAreNeverBelieved() throws KernelCallException {
    errors.know(0x4000);
    script.thenFail(Errno.EFAULT, () -> script.memoryFault(0x4000));
    script.thenFail(Errno.EFAULT);

    run();

    assertThat(script.changes).containsExactly("check 0x4000");
    assertThat(ends.get(0).orElseThrow().reason()).contains("EFAULT and says not where");
  }

  /** KVM reports a conversion of private memory so; nothing has failed. */
  @Test
  void aMemoryFaultWithoutAFailedRunIsNotBelieved() throws KernelCallException {
    errors.know(0x4000);
    script.thenExit(KvmRun.EXIT_MEMORY_FAULT, () -> script.memoryFault(0x4000));

    assertEndsWith(
        GuestExit.Kind.FAILED,
        "vCPU 0: KVM_RUN returned with exit reason 39, which Ward does not handle");
    assertThat(script.changes).isEmpty();
  }

  @ParameterizedTest
  @CsvSource({
    "1, POWERED_OFF, the guest switched itself off",
    "2, SHUTDOWN, the guest asked for a reset",
    "3, SHUTDOWN, the guest has crashed",
    "9, FAILED, 'vCPU 0: KVM_EXIT_SYSTEM_EVENT of type 9, which Ward does not handle'",
  })
  void aSystemEventEndsTheGuest(int type, GuestExit.Kind kind, String reason)
      throws KernelCallException {
    script.thenExit(KvmRun.EXIT_SYSTEM_EVENT, () -> script.union(type));

    assertEndsWith(kind, reason);
  }

  @Test
  void anSErrorIsPendingOnceTheAccessUnderWayIsCompleteAndBeforeTheGuestRunsOn() throws Exception {
    List<String> told = new ArrayList<>();
    VcpuLoop loop = loop(errors, processor -> withSErrors(processor, told));
    script.thenInterrupt(() -> loop.raiseSError(0xc11));
    script.thenInterrupt(() -> told.add("the guest runs"));
    loop.gate().resume();

    loop.run();

    assertThat(told).containsExactly("SError 0xc11 at 0x6003", "the guest runs");
    assertThat(script.sent).containsExactly("%d to 77".formatted(VcpuLoop.KICK));
  }

  /** As this one, but that it has SErrors. */
  private Processor withSErrors(Processor processor, List<String> told) {
    return (Processor)
        Proxy.newProxyInstance(
            Processor.class.getClassLoader(),
            new Class<?>[] {Processor.class},
            (proxy, method, arguments) -> {
              if (!method.getName().equals("injectSError")) {
                return method.invoke(processor, arguments);
              }
              told.add("SError 0x%x at 0x%x".formatted(arguments[0], script.rip));
              return null;
            });
  }

  @Test
  void aKickAfterTheEndGoesToNobody() throws KernelCallException {
    VcpuLoop loop = loop(errors);
    loop.gate().resume();
    loop.run();

    loop.kick();

    assertThat(script.sent).isEmpty();
  }

  /** The JVM unblocks the thread's signals as it ends: one that is left would end the process. */
  @Test
  void noSignalIsLeftPendingWhenTheThreadEnds() throws KernelCallException {
    script.pendKick();
    script.pendKick();

    run();

    assertThat(script.signals).isEmpty();
  }
}
