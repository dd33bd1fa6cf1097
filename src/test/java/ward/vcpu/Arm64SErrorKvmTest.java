package ward.vcpu;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.tuple;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import ward.kernel.Kernel;
import ward.kernel.NativeKernel;
import ward.testbed.WalkerCommand;
import ward.testbed.WalkerCommand.What;
import ward.testbed.WalkerGuestBuilder;
import ward.testbed.WalkerReports;
import ward.testbed.WalkerReports.AbortSeen;
import ward.testbed.WalkerReports.CommandDone;
import ward.testing.RequiresKvm;

/** A real arm64 guest that is told by an SError. */
@OnArm64
@RequiresKvm
@Timeout(240)
class Arm64SErrorKvmTest {

  private static final long HEALTHY = (1L << 30) + (1000L << 12);

  /** Recoverable (AET 0b011), asynchronous (DFSC 0x11): Arm ARM, ISS encoding for an SError. */
  private static final int SYNDROME = 0b011 << 10 | 0x11;

  /** Class 0x2f, 32-bit instruction. */
  private static final int SERROR = 0xbe000000;

  private static final int VECTOR = 0x380;

  @TempDir private Path directory;

  private final Kernel kernel = NativeKernel.load();
  private final WalkerReports reports = new WalkerReports();
  private FilledMemory memory;
  private VcpuState first;

  /** Which loads once with SErrors masked, then lets them in for a moment, twice. */
  @BeforeEach
  void makeAGuest() throws IOException {
    WalkerGuestBuilder builder =
        new WalkerGuestBuilder(16 << 20, 1, 17)
            .withoutWalks()
            .doing(
                List.of(
                    new WalkerCommand(What.LOAD, HEALTHY),
                    new WalkerCommand(What.UNMASK, 0),
                    new WalkerCommand(What.UNMASK, 0)));
    memory = new FilledMemory(kernel, builder, directory, Backing.ANONYMOUS::map);
    first = VcpuStates.parse(memory.vcpuStates()).vcpus().get(0);
  }

  @AfterEach
  void giveBack() {
    memory.close();
  }

  /** Something to do with a machine around that memory. */
  private interface Use<T> {
    T of(KvmVcpu vcpu, Arm64Processor processor) throws IOException;
  }

  private <T> T withMachine(VcpuState state, Use<T> use) throws IOException {
    Architecture architecture = Architecture.ofThisHost();
    try (Kvm kvm = Kvm.open(kernel);
        KvmVm vm = kvm.createVm();
        Machine machine = architecture.setUp(kvm, vm)) {
      vm.setMemory(memory.memory());
      try (KvmVcpu vcpu = vm.createVcpu(0)) {
        Processor processor = architecture.setUp(kvm, vm, vcpu, state);
        machine.vcpusMade(1);
        processor.restore(state);
        return use.of(vcpu, (Arm64Processor) processor);
      }
    }
  }

  private DeviceBus.Outcome runToItsEnd(KvmVcpu vcpu) throws IOException {
    DeviceBus devices = new DeviceBus(reports);
    devices.attachReports(Arm64.REPORTS);
    DeviceBus.Outcome outcome = DeviceBus.Outcome.RUNS_ON;
    while (outcome == DeviceBus.Outcome.RUNS_ON) {
      assertThat(vcpu.run()).isZero();
      assertThat(vcpu.exit().exitReason()).isEqualTo(KvmRun.EXIT_MMIO);
      outcome = devices.onMmio(0, vcpu.exit());
    }
    return outcome;
  }

  /** Without RAS a processor has no register for the syndrome of a virtual SError. */
  private int expectedSyndrome() throws IOException {
    try (Kvm kvm = Kvm.open(kernel)) {
      return kvm.checkExtension(Arm64.CAP_ARM_INJECT_SERROR_ESR) > 0 ? SYNDROME : 0;
    }
  }

  private void assertToldOnceWhenItLetThemIn() throws IOException {
    assertThat(reports.unexpected()).isEmpty();
    assertThat(reports.aborts())
        .extracting(AbortSeen::vector, AbortSeen::esr)
        .containsExactly(tuple(VECTOR, SERROR | expectedSyndrome()));
    assertThat(reports.commands())
        .as("the load came first, and the guest ran on")
        .extracting(CommandDone::what)
        .containsExactly(What.LOAD.ordinal(), What.UNMASK.ordinal(), What.UNMASK.ordinal());
  }

  @Test
  void anSErrorWaitsUntilTheGuestLetsItIn() throws Exception {
    withMachine(
        first,
        (vcpu, processor) -> {
          processor.injectSError(SYNDROME);
          return runToItsEnd(vcpu);
        });

    assertToldOnceWhenItLetThemIn();
  }

  @Test
  void oneThatWaitedAtTheSourceWaitsAtTheDestination() throws Exception {
    VcpuState moved =
        withMachine(
            first,
            (vcpu, processor) -> {
              processor.injectSError(SYNDROME);
              return new VcpuState(0, processor.save());
            });

    withMachine(moved, (vcpu, processor) -> runToItsEnd(vcpu));

    assertToldOnceWhenItLetThemIn();
  }
}
