package ward.vcpu;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.tuple;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import ward.guest.Guest;
import ward.guest.GuestExit;
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
  private BareArm64Machine machine;
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
    machine = new BareArm64Machine(kernel, memory.memory(), reports);
    first = VcpuStates.parse(memory.vcpuStates()).vcpus().get(0);
  }

  @AfterEach
  void giveBack() {
    memory.close();
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
    machine.of(
        first,
        (vcpu, processor) -> {
          processor.injectSError(SYNDROME);
          return machine.runToItsEnd(vcpu);
        });

    assertToldOnceWhenItLetThemIn();
  }

  @Test
  void aRunningGuestIsToldOnRequest() throws Exception {
    KvmGuestFactory factory = new KvmGuestFactory(kernel, new RecordedErrors(), reports);
    try (Guest guest = factory.createOver(memory.memory(), memory.vcpuStates())) {
      guest.raiseSError(0, SYNDROME);

      guest.resume();

      assertThat(guest.exited().toCompletableFuture().get(200, TimeUnit.SECONDS).kind())
          .isEqualTo(GuestExit.Kind.POWERED_OFF);
      assertThatThrownBy(() -> guest.raiseSError(0, SYNDROME)).hasMessage("vCPU 0 is switched off");
      assertThatThrownBy(() -> guest.raiseSError(1, SYNDROME))
          .hasMessage("vCPU 1: this guest has vCPUs 0 to 0");
    }
    assertToldOnceWhenItLetThemIn();
  }

  @Test
  void aRequestThatTheGuestHadNoTimeForMovesWithIt() throws Exception {
    KvmGuestFactory factory = new KvmGuestFactory(kernel, new RecordedErrors(), reports);
    byte[] moved;
    try (Guest guest = factory.createOver(memory.memory(), memory.vcpuStates())) {
      guest.pause();
      guest.raiseSError(0, SYNDROME);
      moved = guest.save();
    }

    try (Guest guest = factory.createOver(memory.memory(), moved)) {
      guest.resume();
      guest.exited().toCompletableFuture().get(200, TimeUnit.SECONDS);
    }

    assertToldOnceWhenItLetThemIn();
  }

  @Test
  void oneThatWaitedAtTheSourceWaitsAtTheDestination() throws Exception {
    VcpuState moved =
        machine.of(
            first,
            (vcpu, processor) -> {
              processor.injectSError(SYNDROME);
              return new VcpuState(0, processor.save());
            });

    machine.of(moved, (vcpu, processor) -> machine.runToItsEnd(vcpu));

    assertToldOnceWhenItLetThemIn();
  }
}
