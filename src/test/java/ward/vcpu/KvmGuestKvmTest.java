package ward.vcpu;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import ward.guest.GuestExit;
import ward.kernel.NativeKernel;
import ward.memory.PageSet;
import ward.testbed.WalkerGuestBuilder;
import ward.testbed.WalkerReports;
import ward.testbed.WalkerReports.MachineCheckSeen;
import ward.testbed.WalkerReports.PassDone;
import ward.testing.RequiresKvm;

/** A real guest on this machine's KVM, with its memory behind a userfaultfd. */
@RequiresKvm
@Timeout(60)
class KvmGuestKvmTest {

  private static final long MIB = 1 << 20;
  private static final PageSet NONE = new PageSet();

  @TempDir private Path directory;

  private final NativeKernel kernel = NativeKernel.load();
  private final RecordedErrors errors = new RecordedErrors();
  private final WalkerReports reports = new WalkerReports();

  private GuestFixture fixture(WalkerGuestBuilder builder) throws IOException {
    return new GuestFixture(
        kernel, new KvmGuestFactory(kernel, errors, reports), builder, directory);
  }

  private static PageSet pages(long... pages) {
    PageSet set = new PageSet();
    for (long page : pages) {
      set.add(page);
    }
    return set;
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
              pass(fixture, 0, 0, NONE),
              pass(fixture, 0, 1, NONE),
              pass(fixture, 1, 0, NONE),
              pass(fixture, 1, 1, NONE));
    }
  }

  private static PassDone pass(GuestFixture fixture, int vcpu, int pass, PageSet lost)
      throws IOException {
    long[] order = fixture.walker().orders().get(vcpu);
    int lostHere = 0;
    for (long page : order) {
      lostHere += lost.contains(page) ? 1 : 0;
    }
    return new PassDone(
        vcpu, pass, order.length - lostHere, lostHere, fixture.expectedSum(vcpu, lost));
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
              pass(fixture, 0, 0, lost),
              pass(fixture, 0, 1, lost),
              pass(fixture, 1, 0, lost),
              pass(fixture, 1, 1, lost));
      assertThat(errors.consumed())
          .extracting(MemoryError::input)
          .containsOnly(MemoryError.Input.SIGBUS_ACTION_REQUIRED);
    }
  }

  private List<MachineCheckSeen> twice(GuestFixture fixture, PageSet lost) {
    List<MachineCheckSeen> expected = new java.util.ArrayList<>();
    for (int vcpu = 0; vcpu < fixture.walker().orders().size(); vcpu++) {
      for (long page : fixture.walker().orders().get(vcpu)) {
        if (lost.contains(page)) {
          long gpa = fixture.walker().layout().addressOf(page);
          expected.add(new MachineCheckSeen(vcpu, gpa, requiredStatus(), gpa, 7));
          expected.add(new MachineCheckSeen(vcpu, gpa, requiredStatus(), gpa, 7));
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
      return CpuVendor.of(kvm.supportedCpuid().vendor());
    } catch (IOException e) {
      throw new IllegalStateException(e);
    }
  }
}
