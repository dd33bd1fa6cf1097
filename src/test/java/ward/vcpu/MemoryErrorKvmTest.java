package ward.vcpu;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.tuple;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.file.Path;
import java.util.Set;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import ward.guest.GuestExit;
import ward.kernel.Kernel;
import ward.kernel.NativeKernel;
import ward.memory.Pages;
import ward.testbed.WalkerGuestBuilder;
import ward.testing.HugePages;
import ward.testing.LibC;
import ward.testing.RequiresKvm;
import ward.vcpu.Probe.Access;

/**
 * One access to one lost page, of every kind that a processor has, and what the guest can notice of
 * it: the machine check, and nothing else.
 */
@RequiresKvm
@EnabledOnOs(architectures = "amd64", disabledReason = "the guest is x86-64 code")
@Timeout(60)
class MemoryErrorKvmTest {

  private static final long MIB = 1 << 20;
  private static final long PAGE = 2000;
  private static final long PAGE_GPA = PAGE << 12;
  private static final long HIGH = 4L << 30;

  @TempDir private Path directory;

  private final Kernel kernel = NativeKernel.load();
  private final RecordedErrors errors = new RecordedErrors();
  private final Probe probe = new Probe();

  static Stream<Arguments> theGuestStandsBeforeTheAccessAndNothingHasHappened() {
    return Stream.of(Backing.values())
        .filter(backing -> backing != Backing.HUGE_PAGES)
        .flatMap(
            backing ->
                Stream.of(3, 0)
                    .flatMap(
                        ring ->
                            accesses(backing).map(access -> Arguments.of(backing, ring, access))));
  }

  /** What a page is made of matters to who finds the loss, not to what the instruction does. */
  private static Stream<Access> accesses(Backing backing) {
    Set<Access> simple = Set.of(Access.LOAD, Access.STORE, Access.FETCH);
    return Stream.of(Access.values())
        .filter(access -> backing == Backing.ANONYMOUS || simple.contains(access));
  }

  @ParameterizedTest(name = "{0}, ring {1}, {2}")
  @MethodSource
  void theGuestStandsBeforeTheAccessAndNothingHasHappened(Backing backing, int ring, Access access)
      throws Exception {
    boolean cannotReadCode = access == Access.FETCH && ring == 0 && HostKvm.emulatesRing0();
    if (cannotReadCode) {
      errors.know(PAGE_GPA);
    }
    String before;
    try (GuestFixture fixture = fixture(backing, ring, access)) {
      fixture.fillImageAnd(PAGE - 1);
      fixture.poison(PAGE);
      before = fixture.lastBytes(PAGE - 1, Probe.BYTES / 2);

      GuestExit exit = fixture.runToExit();

      assertThat(exit.kind()).as(exit.reason()).isEqualTo(GuestExit.Kind.POWERED_OFF);
    }
    Probe.Report report = probe.report();
    assertThat(report.vector()).isEqualTo(18);
    assertThat(report.ripOffset()).isZero();
    assertThat(report.rax()).isEqualTo(Probe.RAX);
    assertThat(report.flags()).isEqualTo(Probe.FLAGS);
    assertRepetitions(access, report, before);
    assertThat(report.addr()).isEqualTo(PAGE_GPA);
    assertThat(report.misc()).isEqualTo(0x8c);
    assertThat(report.mcgStatus()).isEqualTo(7);
    assertThat(errors.injected())
        .extracting(
            event -> event.error().input(),
            event -> event.error().lsb(),
            event -> event.error().guestPhysicalAddress().getAsLong())
        .containsExactly(
            tuple(
                cannotReadCode ? MemoryError.Input.EMULATION_FAILED : HostKvm.lossIn(ring),
                12,
                PAGE_GPA));
  }

  /** As many bytes as the counter says, from the healthy page, and not one of the lost one. */
  private static void assertRepetitions(Access access, Probe.Report report, String before) {
    int done = Probe.BYTES - (int) report.rcx();
    int source = access == Access.REPEATED_COPY_OUT ? -Probe.BYTES / 2 : 0;
    boolean inward = access.number > Access.REPEATED_COPY_OUT.number;
    int destination = inward ? -Probe.BYTES / 2 : 0;
    boolean advances = access != Access.REPEATED_STORE;
    assertThat(done).isBetween(0, access.isRepeated() ? Probe.BYTES / 2 : 0);
    assertThat(report.rsi()).isEqualTo(source + (advances ? done : 0));
    assertThat(report.rdi()).isEqualTo(destination + done);
    int copied = access == Access.REPEATED_COPY_OUT ? done : 0;
    assertThat(report.bytes())
        .isEqualTo(before.substring(0, 2 * copied) + "ee".repeat(Probe.BYTES - copied));
  }

  @ParameterizedTest(name = "ring {0}, {1}")
  @CsvSource({"3, LOAD", "3, STORE", "3, FETCH", "0, LOAD"})
  void aLostPageTableIsAMachineCheckOnTheAccessThatNeededItAndNamesTheTable(int ring, Access access)
      throws Exception {
    assumeTrue(HostKvm.isNested(), "without nested paging KVM walks the guest's tables itself");
    long table;
    try (GuestFixture fixture = fixture(Backing.ANONYMOUS, ring, access, HIGH + 0x128)) {
      table = fixture.tableOfHighMemory();
      fixture.fillImageWithout(table);
      fixture.poison(table);

      GuestExit exit = fixture.runToExit();

      assertThat(exit.kind()).as(exit.reason()).isEqualTo(GuestExit.Kind.POWERED_OFF);
    }
    assertThat(probe.report().isMachineCheck()).isTrue();
    assertThat(probe.report().ripOffset()).isZero();
    assertThat(probe.report().addr()).isEqualTo(Pages.bytes(table));
    assertThat(errors.injected()).hasSize(1);
  }

  @ParameterizedTest(name = "ring {0}, the ledger knows {1}")
  @CsvSource({"3, true, 21", "3, false, 12", "0, true, 21"})
  void aLostHugePageIsKnownAsOneFromTheLedgerOnly(int ring, boolean known, int lsb)
      throws Exception {
    if (known) {
      errors.know(PAGE_GPA, 21);
    }
    try (HugePages pages = HugePages.reserve(8);
        GuestFixture fixture = fixture(Backing.HUGE_PAGES, ring, Access.LOAD)) {
      assertThat(pages).isNotNull();
      fixture.fillImageAnd(0);
      fixture.poison(PAGE);

      GuestExit exit = fixture.runToExit();

      assertThat(exit.kind()).as(exit.reason()).isEqualTo(GuestExit.Kind.POWERED_OFF);
    }
    Probe.Report report = probe.report();
    assertThat(report.isMachineCheck()).isTrue();
    assertThat(report.addr()).isEqualTo(PAGE_GPA);
    assertThat(report.misc()).as("a page: a Linux guest cannot use more").isEqualTo(0x8c);
    assertThat(errors.injected()).extracting(event -> event.error().lsb()).containsExactly(lsb);
  }

  @ParameterizedTest(name = "{0}, ring {1}, {2}")
  @CsvSource({
    "PROTECTED, 3, LOAD",
    "PROTECTED, 3, STORE",
    "PROTECTED, 3, REPEATED_COPY_OUT",
    "PROTECTED, 0, LOAD",
    "UNMAPPED,  3, LOAD",
    "UNMAPPED,  0, STORE",
    "REFUSED,   3, LOAD",
    "REFUSED,   3, FETCH",
    "REFUSED,   3, REPEATED_COPY_IN",
    "REFUSED,   0, STORE",
  })
  void aLossOfWhichKvmSaysOnlyThatItIsNotThereIsFoundByItsInstruction(
      Withdrawal withdrawal, int ring, Access access) throws Exception {
    errors.know(PAGE_GPA);
    try (GuestFixture fixture = fixture(Backing.ANONYMOUS, ring, access)) {
      fixture.fillImageAnd(PAGE - 1);
      withdrawal.apply(fixture, kernel, PAGE);

      GuestExit exit = fixture.runToExit();

      assertThat(exit.kind()).as(exit.reason()).isEqualTo(GuestExit.Kind.POWERED_OFF);
    }
    assertThat(probe.report().isMachineCheck()).isTrue();
    assertThat(probe.report().ripOffset()).isZero();
    assertThat(probe.report().addr()).isEqualTo(PAGE_GPA);
    assertThat(errors.injected())
        .extracting(event -> event.error().input())
        .containsExactly(
            ring == 0 && HostKvm.emulatesRing0()
                ? MemoryError.Input.MMIO_IN_RAM
                : MemoryError.Input.RUN_FAILED);
  }

  @Test
  void memoryThatIsNotThereAndOfWhichNoLossIsKnownFailsTheGuestByErrno() throws Exception {
    try (GuestFixture fixture = fixture(Backing.ANONYMOUS, 3, Access.LOAD)) {
      fixture.fillImageAnd(PAGE - 1);
      LibC.protect(fixture.hostAddressOf(PAGE), Pages.SIZE_BYTES, 0);

      GuestExit exit = fixture.runToExit();

      assertThat(exit.kind()).isEqualTo(GuestExit.Kind.FAILED);
      assertThat(exit.reason()).contains("EFAULT", "guest memory is not backed");
    }
    assertThat(errors.events()).isEmpty();
  }

  private GuestFixture fixture(Backing backing, int ring, Access access) throws IOException {
    return fixture(backing, ring, access, access.isRepeated() ? PAGE_GPA : PAGE_GPA + 0x128);
  }

  private GuestFixture fixture(Backing backing, int ring, Access access, long place)
      throws IOException {
    WalkerGuestBuilder builder =
        new WalkerGuestBuilder(16 * MIB, 1, 13).running("probe", access.number, place);
    KvmGuestFactory factory = new KvmGuestFactory(kernel, errors, probe);
    return new GuestFixture(
        kernel, factory, ring == 0 ? builder.inRing0() : builder, directory, backing);
  }
}
