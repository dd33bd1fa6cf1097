package ward.vcpu;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.OptionalLong;
import jnr.constants.platform.Errno;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import ward.kernel.Kernel;
import ward.kernel.NativeKernel;
import ward.memory.Pages;
import ward.poison.Severity;
import ward.testbed.WalkerCommand;
import ward.testbed.WalkerCommand.What;
import ward.testbed.WalkerGuestBuilder;
import ward.testbed.WalkerReports;
import ward.testbed.WalkerReports.AbortSeen;
import ward.testing.RequiresKvm;

/** An external abort that is under way when its guest leaves one VM for another. */
@OnArm64
@RequiresKvm
@Timeout(120)
class Arm64MovedAbortKvmTest {

  private static final long PAGE = 1000;
  private static final long PAGE_GPA = (1L << 30) + (PAGE << 12);
  private static final long ADDRESS = PAGE_GPA + 24;
  private static final AbortSeen ABORT = new AbortSeen(0, ADDRESS, 0x200, 0x96000010, ADDRESS, 0);

  @TempDir private Path directory;

  private final Kernel kernel = NativeKernel.load();
  private final WalkerReports reports = new WalkerReports();
  private FilledMemory memory;
  private BareArm64Machine machine;
  private VcpuState first;

  /** Which loads once from a page that is lost. */
  @BeforeEach
  void makeAGuest() throws IOException {
    WalkerGuestBuilder builder =
        new WalkerGuestBuilder(16 << 20, 1, 19)
            .withoutWalks()
            .doing(List.of(new WalkerCommand(What.LOAD, ADDRESS)));
    memory = new FilledMemory(kernel, builder, directory, Backing.ANONYMOUS::map);
    machine = new BareArm64Machine(kernel, memory.memory(), reports);
    first = VcpuStates.parse(memory.vcpuStates()).vcpus().get(0);
    assertThat(kernel.unmap(memory.memory().hostAddressOf(PAGE), Pages.SIZE_BYTES)).isZero();
  }

  @AfterEach
  void giveBack() {
    memory.close();
  }

  /** Lets the guest meet its loss, and tells it. */
  private static ExternalAbort meet(KvmVcpu vcpu, Arm64Processor processor) throws IOException {
    assertThat(vcpu.run()).isEqualTo(-Errno.EFAULT.intValue());
    return processor.inject(
        new MemoryError(
            OptionalLong.of(PAGE_GPA),
            Severity.ACTION_REQUIRED,
            Pages.SHIFT,
            MemoryError.Input.SIGBUS_ACTION_REQUIRED,
            0));
  }

  private void assertTakenOnce() {
    assertThat(reports.unexpected()).isEmpty();
    assertThat(reports.aborts())
        .usingRecursiveFieldByFieldElementComparatorIgnoringFields("elr")
        .containsExactly(ABORT);
    assertThat(reports.commands()).as("the guest runs on").hasSize(1);
  }

  @Test
  void oneThatTheGuestHasNotTakenIsTakenAfterTheMoveOnce() throws Exception {
    VcpuState moved =
        machine.of(
            first,
            (vcpu, processor) -> {
              meet(vcpu, processor);
              return new VcpuState(0, processor.save());
            });
    assertThat(reports.aborts()).isEmpty();

    machine.of(moved, (vcpu, processor) -> machine.runToItsEnd(vcpu));

    assertTakenOnce();
  }

  @Test
  void oneWhoseHandlerIsAtWorkIsEndedByItAfterTheMoveAndNotTakenAgain() throws Exception {
    VcpuState moved =
        machine.of(
            first,
            (vcpu, processor) -> {
              meet(vcpu, processor);
              machine.runToAReport(vcpu);
              assertThat(vcpu.completeAccess()).isEqualTo(-Errno.EINTR.intValue());
              return new VcpuState(0, processor.save());
            });

    machine.of(moved, (vcpu, processor) -> machine.runToItsEnd(vcpu));

    assertTakenOnce();
  }
}
