package ward.vcpu;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import ward.guest.GuestExit;
import ward.kernel.Kernel;
import ward.kernel.NativeKernel;
import ward.memory.PageSet;
import ward.testbed.WalkerGuestBuilder;
import ward.testbed.WalkerReports;
import ward.testbed.WalkerReports.AsideSeen;
import ward.testbed.WalkerReports.MachineCheckSeen;
import ward.testing.RequiresKvm;

/**
 * What a real guest reads back from its registers, by RDMSR, whichever processor it believes in.
 */
@OnX86
@RequiresKvm
@EnabledOnOs(architectures = "amd64", disabledReason = "the guest is x86-64 code")
@Timeout(120)
class MachineCheckKvmTest {

  private static final long MIB = 1 << 20;
  private static final PageSet NONE = new PageSet();

  @TempDir private Path directory;

  private final Kernel kernel = NativeKernel.load();
  private final RecordedErrors errors = new RecordedErrors();
  private final WalkerReports reports = new WalkerReports();
  private final KvmGuestFactory factory = new KvmGuestFactory(kernel, errors, reports);

  private GuestFixture fixture(WalkerGuestBuilder builder) throws IOException {
    return new GuestFixture(kernel, factory, builder, directory);
  }

  private WalkerGuestBuilder guest(CpuVendor vendor, int vcpus) throws IOException {
    return new WalkerGuestBuilder(16 * MIB, vcpus, 11).withCpuid(OtherProcessor.of(vendor, kernel));
  }

  @ParameterizedTest
  @CsvSource({"INTEL, bd80000000000134", "AMD, bc00080000000000"})
  void aConsumedLossIsReadAsThatVendorsProcessorWritesIt(CpuVendor vendor, String status)
      throws Exception {
    PageSet lost = new PageSet();
    lost.add(2000);
    try (GuestFixture fixture = fixture(guest(vendor, 1))) {
      fixture.fill(lost, NONE);

      GuestExit exit = fixture.runToExit();

      long expected = Long.parseUnsignedLong(status, 16);
      MachineCheckSeen seen = new MachineCheckSeen(0, 0x7d0000, expected, 0x7d0000, 7, 0x8c);
      assertThat(reports.unexpected()).isEmpty();
      assertThat(exit.kind()).as(exit.reason()).isEqualTo(GuestExit.Kind.POWERED_OFF);
      assertThat(reports.machineChecks()).containsExactly(seen, seen);
    }
  }

  @ParameterizedTest
  @CsvSource({"INTEL, true", "AMD, false"})
  void theOtherProcessorsAreInterruptedOnIntelOnly(CpuVendor vendor, boolean interrupted)
      throws Exception {
    int consumer = 0;
    long deadline = System.nanoTime() + Duration.ofSeconds(60).toNanos();
    try (GuestFixture fixture = fixture(guest(vendor, 2))) {
      PageSet lost = new PageSet();
      lost.add(fixture.walker().orders().get(consumer)[700]);
      PageSet late = new PageSet();
      late.add(fixture.walker().orders().get(1)[1]);
      fixture.fill(lost, late);
      fixture.guest().resume();
      long page = fixture.awaitFault();
      while (reports.passes().size() < 2 && System.nanoTime() < deadline) {
        Thread.sleep(5);
      }

      fixture.copy(page);
      GuestExit exit = fixture.runToExit();

      AsideSeen aside = new AsideSeen(1, 1, 0xa000000000000000L, 0, 0, 5);
      assertThat(reports.unexpected()).isEmpty();
      assertThat(exit.kind()).as(exit.reason()).isEqualTo(GuestExit.Kind.POWERED_OFF);
      assertThat(reports.machineChecks()).hasSize(2).allMatch(seen -> seen.vcpu() == consumer);
      assertThat(reports.asides()).isEqualTo(interrupted ? List.of(aside, aside) : List.of());
      assertThat(reports.passes())
          .allMatch(pass -> pass.sum() == sumOf(fixture, pass.vcpu(), lost));
    }
  }

  private static long sumOf(GuestFixture fixture, int vcpu, PageSet lost) {
    try {
      return fixture.expectedSum(vcpu, lost);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
