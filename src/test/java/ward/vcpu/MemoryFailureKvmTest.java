package ward.vcpu;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.tuple;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import ward.guest.GuestExit;
import ward.kernel.Kernel;
import ward.kernel.NativeKernel;
import ward.memory.PageSet;
import ward.memory.Pages;
import ward.testbed.WalkerGuestBuilder;
import ward.testbed.WalkerReports;
import ward.testing.HugePages;
import ward.testing.MemoryFailure;
import ward.testing.RequiresKvm;
import ward.vcpu.Probe.Access;

/** A guest whose host loses memory in earnest, where its kernel can. */
@RequiresKvm
@EnabledOnOs(architectures = "amd64", disabledReason = "the guest is x86-64 code")
@Timeout(240)
class MemoryFailureKvmTest {

  private static final long MIB = 1 << 20;
  private static final long PAGE = 2000;
  private static final long PAGE_GPA = PAGE << 12;
  private static final long HIGH = 4L << 30;

  @TempDir private Path directory;

  private final Kernel kernel = NativeKernel.load();
  private final RecordedErrors errors = new RecordedErrors();
  private final Probe probe = new Probe();
  private final WalkerReports reports = new WalkerReports();

  @BeforeAll
  static void requireMemoryFailure() {
    MemoryFailure.require();
  }

  private GuestFixture fixture(Backing backing, WalkerGuestBuilder builder, ReportListener listener)
      throws Exception {
    KvmGuestFactory factory = new KvmGuestFactory(kernel, errors, listener);
    return new GuestFixture(kernel, factory, builder, directory, backing);
  }

  @ParameterizedTest
  @CsvSource({
    "ANONYMOUS, 3, LOAD",
    "ANONYMOUS, 3, STORE",
    "ANONYMOUS, 3, FETCH",
    "ANONYMOUS, 0, LOAD",
    "ANONYMOUS, 0, STORE",
    "ANONYMOUS, 0, FETCH",
    "MEMFD,     3, LOAD",
    "MEMFD,     0, STORE",
  })
  void aPageThatTheHostHasLostIsAMachineCheckOnTheAccess(Backing backing, int ring, Access access)
      throws Exception {
    WalkerGuestBuilder builder =
        new WalkerGuestBuilder(16 * MIB, 1, 14).running("probe", access.number, PAGE_GPA);
    try (GuestFixture fixture = fixture(backing, ring == 0 ? builder.inRing0() : builder, probe)) {
      fixture.fillImageAnd(PAGE);
      MemoryFailure.loseThePageAt(fixture.hostAddressOf(PAGE));

      GuestExit exit = fixture.runToExit();

      assertThat(exit.kind()).as(exit.reason()).isEqualTo(GuestExit.Kind.POWERED_OFF);
    }
    assertThat(probe.report().isMachineCheck()).isTrue();
    assertThat(probe.report().ripOffset()).isZero();
    assertThat(probe.report().addr()).isEqualTo(PAGE_GPA);
    assertThat(errors.consumed())
        .filteredOn(error -> error.input() == HostKvm.lossIn(ring))
        .extracting(MemoryError::place, MemoryError::lsb)
        .containsExactly(tuple("GPA 0x%x".formatted(PAGE_GPA), 12));
  }

  /** KVM names a page of 4 KiB; that the whole huge one is lost, the host's own finding says. */
  @ParameterizedTest
  @CsvSource({"3, LOAD", "0, STORE"})
  void ofALostHugePageTheGuestHearsOfThePageThatItTouched(int ring, Access access)
      throws Exception {
    WalkerGuestBuilder builder =
        new WalkerGuestBuilder(16 * MIB, 1, 17).running("probe", access.number, PAGE_GPA + 0x128);
    try (HugePages pages = HugePages.reserve(8);
        GuestFixture fixture =
            fixture(Backing.HUGE_PAGES, ring == 0 ? builder.inRing0() : builder, probe)) {
      assertThat(pages).isNotNull();
      fixture.fillImageAnd(PAGE);
      fixture.awaitVcpus();
      MemoryFailure.loseThePageAt(fixture.hostAddressOf(PAGE));

      GuestExit exit = fixture.runToExit();

      assertThat(exit.kind()).as(exit.reason()).isEqualTo(GuestExit.Kind.POWERED_OFF);
    }
    assertThat(probe.report().isMachineCheck()).isTrue();
    assertThat(probe.report().ripOffset()).isZero();
    assertThat(probe.report().addr()).isEqualTo(PAGE_GPA);
    String place = "GPA 0x%x".formatted(PAGE_GPA);
    assertThat(errors.consumed())
        .extracting(MemoryError::input, MemoryError::place, MemoryError::lsb)
        .containsExactly(
            tuple(MemoryError.Input.SIGBUS_ACTION_OPTIONAL, place, 21),
            tuple(HostKvm.lossIn(ring), place, 12));
  }

  @ParameterizedTest
  @CsvSource({"3, LOAD", "3, STORE", "0, LOAD"})
  void aPageTableThatTheHostHasLostIsAMachineCheckOnTheAccessThatNeededIt(int ring, Access access)
      throws Exception {
    assumeTrue(HostKvm.isNested(), "without nested paging KVM walks the guest's tables itself");
    WalkerGuestBuilder builder =
        new WalkerGuestBuilder(16 * MIB, 1, 18).running("probe", access.number, HIGH + 0x128);
    long table;
    try (GuestFixture fixture =
        fixture(Backing.ANONYMOUS, ring == 0 ? builder.inRing0() : builder, probe)) {
      table = fixture.tableOfHighMemory();
      fixture.fillImageAnd(table);
      MemoryFailure.loseThePageAt(fixture.hostAddressOf(table));

      GuestExit exit = fixture.runToExit();

      assertThat(exit.kind()).as(exit.reason()).isEqualTo(GuestExit.Kind.POWERED_OFF);
    }
    assertThat(probe.report().isMachineCheck()).isTrue();
    assertThat(probe.report().ripOffset()).isZero();
    assertThat(probe.report().addr()).isEqualTo(Pages.bytes(table));
  }

  /** The thread of a vCPU asks for it (PR_MCE_KILL_EARLY); the guest then hears of it at once. */
  @Test
  void aLossThatTheHostFindsIsToldBeforeTheGuestMeetsIt() throws Exception {
    WalkerGuestBuilder builder =
        new WalkerGuestBuilder(16 * MIB, 1, 15)
            .withCpuid(OtherProcessor.of(CpuVendor.INTEL, kernel));
    try (GuestFixture fixture = fixture(Backing.ANONYMOUS, builder, reports)) {
      fixture.fill(new PageSet(), new PageSet());
      fixture.awaitVcpus();
      MemoryFailure.loseThePageAt(fixture.hostAddressOf(PAGE));

      GuestExit exit = fixture.runToExit();

      assertThat(exit.kind()).as(exit.reason()).isEqualTo(GuestExit.Kind.POWERED_OFF);
    }
    assertThat(reports.unexpected()).isEmpty();
    assertThat(reports.asides())
        .isEqualTo(
            List.of(new WalkerReports.AsideSeen(0, 9, 0xbd000000000000c0L, PAGE_GPA, 0x8c, 5)));
    assertThat(reports.machineChecks()).as("each pass meets it").hasSize(2);
    assertThat(errors.consumed().get(0).input())
        .isEqualTo(MemoryError.Input.SIGBUS_ACTION_OPTIONAL);
  }
}
