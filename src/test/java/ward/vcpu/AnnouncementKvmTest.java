package ward.vcpu;

import static org.assertj.core.api.Assertions.assertThat;
import static ward.vcpu.GuestFixture.pages;

import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.io.TempDir;
import ward.guest.GuestExit;
import ward.kernel.Kernel;
import ward.kernel.NativeKernel;
import ward.memory.PageSet;
import ward.testbed.WalkerGuestBuilder;
import ward.testbed.WalkerReports;
import ward.testbed.WalkerReports.AsideSeen;
import ward.testing.RequiresKvm;

/** A guest that is told of its lost pages before it meets them. */
@RequiresKvm
@EnabledOnOs(architectures = "amd64", disabledReason = "the guest is x86-64 code")
@Timeout(120)
class AnnouncementKvmTest {

  private static final long MIB = 1 << 20;
  private static final Duration OFTEN = Duration.ofMillis(1);

  @TempDir private Path directory;

  private final Kernel kernel = NativeKernel.load();
  private final RecordedErrors errors = new RecordedErrors();
  private final WalkerReports reports = new WalkerReports();
  private final KvmGuestFactory factory = new KvmGuestFactory(kernel, errors, reports);

  private WalkerGuestBuilder guest(CpuVendor vendor, int vcpus) throws Exception {
    return new WalkerGuestBuilder(16 * MIB, vcpus, 12).withCpuid(OtherProcessor.of(vendor, kernel));
  }

  /** Everything else that the guest hears aside is another vCPU's. */
  private List<AsideSeen> announcements() {
    return reports.asides().stream().filter(seen -> seen.bank() == MachineChecks.BANK).toList();
  }

  private void awaitAnnouncements(long count) throws InterruptedException {
    long deadline = System.nanoTime() + Duration.ofSeconds(60).toNanos();
    while (announcements().size() < count && System.nanoTime() < deadline) {
      Thread.sleep(5);
    }
  }

  @Test
  void anIntelGuestHearsOfEachLostPageOnceAsAMachineCheckThatRequiresNoAction() throws Exception {
    PageSet lost = pages(500, 777, 1000, 1500, 2000, 2500);
    WalkerGuestBuilder builder = guest(CpuVendor.INTEL, 2).hearingFirst(0, 0, 6, 6);
    try (GuestFixture fixture = new GuestFixture(kernel, factory, builder, directory)) {
      fixture.fill(lost, pages());
      fixture.guest().resume();

      fixture.guest().announce(lost, OFTEN);
      awaitAnnouncements(lost.size());
      GuestExit exit = fixture.runToExit();

      assertThat(reports.unexpected()).isEmpty();
      assertThat(exit.kind()).as(exit.reason()).isEqualTo(GuestExit.Kind.POWERED_OFF);
      assertThat(announcements())
          .extracting(AsideSeen::addr)
          .containsExactly(
              500L << 12, 777L << 12, 1000L << 12, 1500L << 12, 2000L << 12, 2500L << 12);
      assertThat(announcements())
          .allMatch(seen -> seen.status() == 0xbd000000000000c0L)
          .allMatch(seen -> seen.misc() == 0x8c && seen.mcgStatus() == 5 && seen.vcpu() == 0);
      assertThat(reports.machineChecks()).hasSize(2 * (int) lost.size());
      assertThat(reports.passes())
          .extracting(WalkerReports.PassDone::pagesLost)
          .allMatch(pagesLost -> pagesLost > 0);
    }
  }

  @Test
  void anAmdGuestFindsEachLostPageOnceAsADeferredErrorInItsBank() throws Exception {
    PageSet lost = pages(1000, 2000, 3000);
    WalkerGuestBuilder builder =
        guest(CpuVendor.AMD, 1).inRing0().lookingForDeferredErrors().hearingFirst(0, 0, 3);
    try (GuestFixture fixture = new GuestFixture(kernel, factory, builder, directory)) {
      fixture.fill(lost, pages());
      fixture.guest().resume();

      fixture.guest().announce(lost, OFTEN);
      awaitAnnouncements(lost.size());

      assertThat(announcements())
          .extracting(AsideSeen::addr)
          .containsExactly(1000L << 12, 2000L << 12, 3000L << 12);
      assertThat(announcements())
          .allMatch(seen -> seen.status() == 0x9c00180000000000L && seen.misc() == 0x8c);
    }
  }

  @Test
  void aPageThatIsNotOfTheGuestsMemoryIsNotAnnounced() throws Exception {
    try (GuestFixture fixture =
        new GuestFixture(kernel, factory, guest(CpuVendor.INTEL, 1), directory)) {
      fixture.fill(pages(), pages(2345));
      fixture.guest().resume();
      fixture.awaitFault();

      fixture.guest().announce(pages(0x80000, 5), OFTEN);
      awaitAnnouncements(1);
      fixture.copy(2345);
      fixture.runToExit();

      assertThat(announcements()).extracting(AsideSeen::addr).containsExactly(0x5000L);
    }
  }

  @Test
  void aDeviceThatMeetsALossFailsItsRequestAndNoVcpuIsInterrupted() throws Exception {
    PageSet lost = pages(777, 2000);
    try (GuestFixture fixture =
        new GuestFixture(kernel, factory, guest(CpuVendor.INTEL, 1).usingDevice(), directory)) {
      fixture.fill(lost, pages());

      GuestExit exit = fixture.runToExit();

      assertThat(reports.unexpected()).isEmpty();
      assertThat(exit.kind()).as(exit.reason()).isEqualTo(GuestExit.Kind.POWERED_OFF);
      assertThat(reports.deviceAnswers())
          .hasSize(4)
          .allMatch(answer -> answer.status() == CopyDevice.FAILED)
          .extracting(answer -> answer.pageGpa() >>> 12)
          .containsOnly(777L, 2000L);
      assertThat(reports.machineChecks()).as("the walker's own loads").hasSize(4);
      assertThat(reports.asides()).isEmpty();
      assertThat(errors.injected())
          .filteredOn(event -> event.error().input() == MemoryError.Input.DEVICE_COPY)
          .hasSize(4)
          .allMatch(event -> event.injection() instanceof FailedRequest);
    }
  }
}
