package ward.vcpu;

import static org.assertj.core.api.Assertions.assertThat;
import static ward.vcpu.GuestFixture.pages;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.OptionalLong;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import ward.guest.GuestExit;
import ward.kernel.Kernel;
import ward.kernel.NativeKernel;
import ward.memory.PageSet;
import ward.memory.Pages;
import ward.testbed.WalkerGuestBuilder;
import ward.testbed.WalkerReports;
import ward.testbed.WalkerReports.MachineCheckSeen;
import ward.testing.RequiresKvm;

/** Losses of which KVM says {@code EFAULT} and no address. */
@RequiresKvm
@EnabledOnOs(architectures = "amd64", disabledReason = "the guest is x86-64 code")
@Timeout(60)
class UnnamedLossKvmTest {

  private static final long MEMORY_BYTES = 16 << 20;
  private static final PageSet NONE = new PageSet();
  private static final long PAGE_DIRECTORY_POINTERS = 0x2000;
  private static final long CODE = 0x6000;

  @TempDir private Path directory;

  private final Kernel kernel = NativeKernel.load();
  private final RecordedErrors errors = new RecordedErrors();
  private final WalkerReports reports = new WalkerReports();

  private GuestFixture fixture(WalkerGuestBuilder builder, PageSet lost) throws IOException {
    KvmGuestFactory factory = new KvmGuestFactory(kernel, errors, reports);
    GuestFixture fixture = new GuestFixture(kernel, factory, builder, directory);
    fixture.fill(NONE, lost);
    fixture.makeUnreadable(lost);
    return fixture;
  }

  @Test
  void everyLoadOfALostPageIsAMachineCheckAtItsAddress() throws Exception {
    PageSet lost = pages(777, 2000, 4095);
    try (GuestFixture fixture = fixture(new WalkerGuestBuilder(MEMORY_BYTES, 2, 11), lost)) {
      List<Long> addresses = new ArrayList<>();
      lost.forEach(page -> addresses.add(fixture.walker().layout().addressOf(page)));
      addresses.forEach(errors::know);

      GuestExit exit = fixture.runToExit();

      assertThat(reports.unexpected()).isEmpty();
      assertThat(exit.kind()).as(exit.reason()).isEqualTo(GuestExit.Kind.POWERED_OFF);
      assertThat(reports.machineChecks())
          .extracting(MachineCheckSeen::addr)
          .hasSize(2 * addresses.size())
          .containsOnly(addresses.toArray(Long[]::new));
      assertThat(errors.consumed())
          .extracting(MemoryError::input)
          .containsOnly(MemoryError.Input.RUN_FAILED);
    }
  }

  @Test
  void aPageThatTheLedgerDoesNotKnowStopsTheGuestAndIsNotCalledLost() throws Exception {
    try (GuestFixture fixture = fixture(new WalkerGuestBuilder(MEMORY_BYTES, 1, 12), pages(2000))) {

      GuestExit exit = fixture.runToExit();

      assertThat(exit.kind()).isEqualTo(GuestExit.Kind.FAILED);
      assertThat(exit.reason()).contains("nothing that is known to be lost");
      assertThat(errors.events()).isEmpty();
    }
  }

  /** The guest cannot survive either, but what it died of is on record. */
  @ParameterizedTest
  @ValueSource(longs = {CODE, PAGE_DIRECTORY_POINTERS})
  void lostCodeAndALostPageTableAreFoundThemselves(long address) throws Exception {
    Assumptions.assumeTrue(
        address == CODE || HostKvm.isNested(),
        "without nested paging KVM walks the guest's tables itself");
    errors.know(address);
    PageSet lost = pages(address >>> Pages.SHIFT);
    try (GuestFixture fixture = fixture(new WalkerGuestBuilder(MEMORY_BYTES, 1, 13), lost)) {

      GuestExit exit = fixture.runToExit();

      assertThat(exit.kind()).as(exit.reason()).isNotEqualTo(GuestExit.Kind.POWERED_OFF);
      assertThat(errors.consumed().get(0).guestPhysicalAddress())
          .isEqualTo(OptionalLong.of(address));
    }
  }
}
