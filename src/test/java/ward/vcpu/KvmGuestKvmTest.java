package ward.vcpu;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static ward.vcpu.GuestFixture.pages;

import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.stream.LongStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.io.TempDir;
import ward.guest.GuestExit;
import ward.guest.GuestFactory;
import ward.kernel.Kernel;
import ward.kernel.NativeKernel;
import ward.memory.PageSet;
import ward.testbed.WalkerGuest;
import ward.testbed.WalkerGuestBuilder;
import ward.testbed.WalkerReports;
import ward.testbed.WalkerReports.MachineCheckSeen;
import ward.testing.RequiresKvm;

/** A real guest on this machine's KVM, with its memory behind a userfaultfd. */
@RequiresKvm
@EnabledOnOs(architectures = "amd64", disabledReason = "the guest is x86-64 code")
@Timeout(value = 4, unit = TimeUnit.MINUTES)
class KvmGuestKvmTest {

  private static final long MIB = 1 << 20;
  private static final PageSet NONE = new PageSet();

  @TempDir private Path directory;

  private final RecordingKernel recording = new RecordingKernel(NativeKernel.load());
  private final Kernel kernel = recording.kernel();
  private final RecordedErrors errors = new RecordedErrors();
  private final WalkerReports reports = new WalkerReports();

  private final KvmGuestFactory factory = new KvmGuestFactory(kernel, errors, reports);

  private GuestFixture fixture(WalkerGuestBuilder builder) throws IOException {
    return new GuestFixture(kernel, factory, builder, directory);
  }

  @Test
  void aHealthyGuestReadsEveryPageTwiceAndFindsWhatTheFileHolds() throws Exception {
    try (GuestFixture fixture = fixture(new WalkerGuestBuilder(32 * MIB, 2, 1))) {
      fixture.fill(NONE, NONE);

      GuestExit exit = fixture.runToExit();

      assertThat(reports.unexpected()).isEmpty();
      assertThat(exit.kind()).isEqualTo(GuestExit.Kind.POWERED_OFF);
      assertThat(reports.machineChecks()).isEmpty();
      assertThat(reports.passes())
          .containsExactlyInAnyOrder(
              fixture.pass(0, 0, NONE),
              fixture.pass(0, 1, NONE),
              fixture.pass(1, 0, NONE),
              fixture.pass(1, 1, NONE));
    }
  }

  @Test
  void everyPoisonedPageIsAMachineCheckAtItsAddressInEveryPass() throws Exception {
    PageSet lost = pages(0, 777, 2000, 3071, 3072, 4095);
    try (GuestFixture fixture = fixture(new WalkerGuestBuilder(16 * MIB, 2, 2))) {
      fixture.fill(lost, NONE);

      GuestExit exit = fixture.runToExit();

      assertThat(reports.unexpected()).isEmpty();
      assertThat(exit.kind()).as(exit.reason()).isEqualTo(GuestExit.Kind.POWERED_OFF);
      assertThat(reports.machineChecks()).containsExactlyInAnyOrderElementsOf(twice(fixture, lost));
      assertThat(reports.passes())
          .containsExactlyInAnyOrder(
              fixture.pass(0, 0, lost),
              fixture.pass(0, 1, lost),
              fixture.pass(1, 0, lost),
              fixture.pass(1, 1, lost));
      assertThat(errors.consumed())
          .extracting(MemoryError::input)
          .containsOnly(MemoryError.Input.SIGBUS_ACTION_REQUIRED);
    }
  }

  @Test
  void anErrorIsRecordedBeforeTheGuestHearsOfIt() throws Exception {
    PageSet lost = pages(777);
    try (GuestFixture fixture = fixture(new WalkerGuestBuilder(16 * MIB, 1, 3))) {
      fixture.fill(lost, NONE);

      fixture.runToExit();

      assertThat(errors.events())
          .hasSize(4)
          .satisfiesExactly(
              first -> assertThat(first).isInstanceOf(MemoryError.class),
              then -> assertThat(then).isInstanceOf(MemoryErrorEvent.class),
              again -> assertThat(again).isInstanceOf(MemoryError.class),
              last -> assertThat(last).isInstanceOf(MemoryErrorEvent.class));
    }
  }

  /** Where KVM emulates ring 0, instruction by instruction, a page takes milliseconds. */
  @Test
  void inRing0ALostPageIsAMachineCheckOnTheLoadItself() throws Exception {
    WalkerGuestBuilder builder = new WalkerGuestBuilder(16 * MIB, 2, 4).inRing0().reading(64);
    try (GuestFixture fixture = fixture(builder)) {
      PageSet lost = lastOfEachVcpu(fixture.walker());
      fixture.fill(lost, NONE);

      GuestExit exit = fixture.runToExit();

      // The handler calls a machine check unexpected unless the saved RIP is that of the load.
      assertThat(reports.unexpected()).isEmpty();
      assertThat(exit.kind()).as(exit.reason()).isEqualTo(GuestExit.Kind.POWERED_OFF);
      assertThat(reports.machineChecks()).containsExactlyInAnyOrderElementsOf(twice(fixture, lost));
      assertThat(reports.passes())
          .containsExactlyInAnyOrder(
              fixture.pass(0, 0, lost),
              fixture.pass(0, 1, lost),
              fixture.pass(1, 0, lost),
              fixture.pass(1, 1, lost));
    }
  }

  @Test
  void aSecondLossDuringAMachineCheckShutsTheGuestDownWithoutAskingKvm() throws Exception {
    PageSet lost = pages(1000, 2000);
    WalkerGuestBuilder builder =
        new WalkerGuestBuilder(16 * MIB, 1, 5).keepingMachineCheckInProgress();
    try (GuestFixture fixture = fixture(builder)) {
      fixture.fill(lost, NONE);

      GuestExit exit = fixture.runToExit();

      assertThat(exit.kind()).isEqualTo(GuestExit.Kind.SHUTDOWN);
      assertThat(exit.reason())
          .matches(
              "vCPU 0 consumed poison at GPA 0x(3e8|7d0)000 while a machine check was in progress"
                  + " \\(MCG_STATUS.MCIP set\\)");
      assertThat(recording.count("KVM_X86_SET_MCE")).isEqualTo(1);
      assertThat(errors.consumed()).hasSize(2);
      assertThat(errors.injected()).hasSize(1);
    }
  }

  @Test
  void aLossWithMachineChecksDisabledShutsTheGuestDownWithoutAskingKvm() throws Exception {
    WalkerGuestBuilder builder = new WalkerGuestBuilder(16 * MIB, 1, 6);
    GuestFactory disabling =
        (layout, states) -> factory.create(layout, withoutMachineChecks(states));
    try (GuestFixture fixture = new GuestFixture(kernel, disabling, builder, directory)) {
      fixture.fill(pages(1000), NONE);

      GuestExit exit = fixture.runToExit();

      assertThat(exit)
          .isEqualTo(
              new GuestExit(
                  GuestExit.Kind.SHUTDOWN,
                  "vCPU 0 consumed poison at GPA 0x3e8000 while machine checks were disabled"
                      + " (CR4.MCE clear)"));
      assertThat(recording.count("KVM_X86_SET_MCE")).isZero();
    }
  }

  private static byte[] withoutMachineChecks(byte[] states) throws IOException {
    VcpuState vcpu = VcpuStates.parse(states).vcpus().get(0);
    KvmSregs sregs = new KvmSregs(vcpu.section(KvmSregs.SECTION));
    sregs.cr4(sregs.cr4() & ~KvmSregs.CR4_MCE);
    VcpuState without =
        new VcpuState(
            0,
            Map.of(
                KvmRegs.SECTION, vcpu.section(KvmRegs.SECTION), KvmSregs.SECTION, sregs.toBytes()));
    return new VcpuStates(VcpuStates.X86_64, Map.of(), List.of(without)).toBytes();
  }

  @Test
  void aPauseEndsAWaitForAPageAndTheGuestGoesOnAfterwards() throws Exception {
    long late = 2345;
    try (GuestFixture fixture = fixture(new WalkerGuestBuilder(16 * MIB, 2, 7))) {
      fixture.fill(NONE, pages(late));
      fixture.guest().resume();
      assertThat(fixture.awaitFault()).isEqualTo(late);

      long begin = System.nanoTime();
      fixture.guest().pause();
      Duration took = Duration.ofNanos(System.nanoTime() - begin);

      assertThat(took).isLessThan(Duration.ofSeconds(5));
      fixture.copy(late);
      assertThat(fixture.runToExit().kind()).isEqualTo(GuestExit.Kind.POWERED_OFF);
      assertThat(reports.passes())
          .containsExactlyInAnyOrder(
              fixture.pass(0, 0, NONE),
              fixture.pass(0, 1, NONE),
              fixture.pass(1, 0, NONE),
              fixture.pass(1, 1, NONE));
    }
  }

  @Test
  void aGuestCanBeClosedWhileItWaitsForAPage() throws Exception {
    GuestFixture fixture = fixture(new WalkerGuestBuilder(16 * MIB, 1, 8));
    fixture.fill(NONE, pages(2345));
    fixture.guest().resume();
    fixture.awaitFault();

    fixture.close();

    assertThat(fixture.guest().exited().toCompletableFuture()).isNotDone();
    assertThat(Thread.getAllStackTraces().keySet())
        .extracting(Thread::getName)
        .doesNotContain("vcpu-0");
  }

  @Test
  void pausesWithoutEndLoseNoMachineCheckAndRepeatNone() throws Exception {
    PageSet lost = pages(500, 1000, 1500, 2000, 2500, 3000, 3500, 4000);
    try (GuestFixture fixture = fixture(new WalkerGuestBuilder(32 * MIB, 2, 9))) {
      fixture.fill(lost, NONE);

      while (!fixture.guest().exited().toCompletableFuture().isDone()) {
        fixture.guest().resume();
        fixture.guest().pause();
      }

      assertThat(reports.unexpected()).isEmpty();
      assertThat(reports.machineChecks()).containsExactlyInAnyOrderElementsOf(twice(fixture, lost));
    }
  }

  /** A page that each vCPU reads, and does not run on. */
  private static PageSet lastOfEachVcpu(WalkerGuest walker) {
    PageSet last = new PageSet();
    for (long[] order : walker.orders()) {
      LongStream.of(order)
          .filter(page -> !walker.imagePages().contains(page))
          .reduce((before, after) -> after)
          .ifPresent(last::add);
    }
    return last;
  }

  private List<MachineCheckSeen> twice(GuestFixture fixture, PageSet lost) {
    List<MachineCheckSeen> expected = new ArrayList<>();
    for (int vcpu = 0; vcpu < fixture.walker().orders().size(); vcpu++) {
      for (long page : fixture.walker().orders().get(vcpu)) {
        if (lost.contains(page)) {
          long gpa = fixture.walker().layout().addressOf(page);
          expected.add(new MachineCheckSeen(vcpu, gpa, requiredStatus(), gpa, 7, 0x8c));
          expected.add(new MachineCheckSeen(vcpu, gpa, requiredStatus(), gpa, 7, 0x8c));
        }
      }
    }
    return expected;
  }

  private long requiredStatus() {
    return switch (vendor()) {
      case INTEL -> 0xbd80000000000134L;
      case AMD -> 0xbc00080000000000L;
    };
  }

  private CpuVendor vendor() {
    try (Kvm kvm = Kvm.open(kernel)) {
      return CpuVendor.of(kvm.guestCpuid().vendor());
    } catch (IOException e) {
      throw new IllegalStateException(e);
    }
  }

  @Test
  void anX86GuestKnowsNoSError() throws Exception {
    try (GuestFixture fixture = fixture(new WalkerGuestBuilder(16 * MIB, 1, 10))) {
      assertThatThrownBy(() -> fixture.guest().raiseSError(0, 0))
          .isInstanceOf(IOException.class)
          .hasMessageContaining("this guest's processors know no SError");
    }
  }
}
