package ward.vcpu;

import static org.assertj.core.api.Assertions.assertThat;
import static ward.vcpu.GuestFixture.pages;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import ward.guest.GuestExit;
import ward.kernel.Kernel;
import ward.kernel.NativeKernel;
import ward.memory.PageSet;
import ward.testbed.WalkerCommand;
import ward.testbed.WalkerCommand.What;
import ward.testbed.WalkerGuestBuilder;
import ward.testbed.WalkerReports;
import ward.testbed.WalkerReports.AbortSeen;
import ward.testing.RequiresKvm;

/** A real arm64 guest with its memory behind a userfaultfd. */
@OnArm64
@RequiresKvm
@Timeout(300)
class Arm64GuestKvmTest {

  private static final long MIB = 1 << 20;
  private static final long RAM = 1L << 30;
  private static final PageSet NONE = new PageSet();
  private static final long PAGE = 1000;
  private static final long ADDRESS = RAM + (PAGE << 12);

  private static final int DATA_ABORT = 0x96000010;
  private static final int INSTRUCTION_ABORT = 0x86000010;
  private static final int INSTRUCTION_ABORT_BELOW = 0x82000010;
  private static final int FROM_EL1 = 0x200;
  private static final int FROM_EL0 = 0x400;

  @TempDir private Path directory;

  private final Kernel kernel = NativeKernel.load();
  private final RecordedErrors errors = new RecordedErrors();
  private final WalkerReports reports = new WalkerReports();
  private final KvmGuestFactory factory = new KvmGuestFactory(kernel, errors, reports);

  private GuestFixture fixture(WalkerGuestBuilder builder) throws IOException {
    return new GuestFixture(kernel, factory, builder, directory);
  }

  private static WalkerGuestBuilder doing(What what, long address) {
    return new WalkerGuestBuilder(16 * MIB, 1, 5)
        .withoutWalks()
        .doing(List.of(new WalkerCommand(what, address)));
  }

  @Test
  void aHealthyGuestReadsEveryPageTwiceAndFindsWhatTheFileHolds() throws Exception {
    try (GuestFixture fixture = fixture(new WalkerGuestBuilder(16 * MIB, 2, 1))) {
      fixture.fill(NONE, NONE);

      GuestExit exit = fixture.runToExit();

      assertThat(exit.kind()).as(exit.reason()).isEqualTo(GuestExit.Kind.POWERED_OFF);
      assertThat(reports.unexpected()).isEmpty();
      assertThat(reports.aborts()).isEmpty();
      assertThat(reports.passes())
          .containsExactlyInAnyOrder(
              fixture.pass(0, 0, NONE),
              fixture.pass(0, 1, NONE),
              fixture.pass(1, 0, NONE),
              fixture.pass(1, 1, NONE));
    }
  }

  @Test
  void everyPoisonedPageIsAnExternalAbortAtItsAddressInEveryPass() throws Exception {
    PageSet lost = pages(777, 2000, 3071, 3072, 4095);
    try (GuestFixture fixture = fixture(new WalkerGuestBuilder(16 * MIB, 2, 2))) {
      fixture.fill(lost, NONE);

      GuestExit exit = fixture.runToExit();

      assertThat(exit.kind()).as(exit.reason()).isEqualTo(GuestExit.Kind.POWERED_OFF);
      assertThat(reports.unexpected()).isEmpty();
      assertThat(reports.aborts())
          .extracting(AbortSeen::pageGpa)
          .containsExactlyInAnyOrderElementsOf(twice(fixture, lost));
      assertThat(reports.aborts())
          .allSatisfy(
              abort -> {
                assertThat(abort.esr()).isEqualTo(DATA_ABORT);
                assertThat(abort.far()).isEqualTo(abort.pageGpa());
                assertThat(abort.vector()).isEqualTo(FROM_EL1);
              });
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

  private static List<Long> twice(GuestFixture fixture, PageSet lost) {
    List<Long> addresses = new ArrayList<>();
    lost.forEach(
        page -> {
          addresses.add(fixture.walker().layout().addressOf(page));
          addresses.add(fixture.walker().layout().addressOf(page));
        });
    return addresses;
  }

  private AbortSeen onlyAbort(WalkerGuestBuilder builder) throws Exception {
    try (GuestFixture fixture = fixture(builder)) {
      fixture.fill(pages(PAGE), NONE);

      GuestExit exit = fixture.runToExit();

      assertThat(exit.kind()).as(exit.reason()).isEqualTo(GuestExit.Kind.POWERED_OFF);
      assertThat(reports.unexpected()).isEmpty();
      assertThat(reports.aborts()).hasSize(1);
      assertThat(reports.commands()).hasSize(1);
      assertThat(errors.consumed()).hasSize(1);
      return reports.aborts().get(0);
    }
  }

  @Test
  void aLoadFromALostPageIsADataAbortAtTheByteThatItWanted() throws Exception {
    AbortSeen abort = onlyAbort(doing(What.LOAD, ADDRESS + 24));

    assertThat(abort.esr()).isEqualTo(DATA_ABORT);
    assertThat(abort.far()).isEqualTo(ADDRESS + 24);
    assertThat(abort.vector()).isEqualTo(FROM_EL1);
  }

  @Test
  void aStoreToALostPageIsADataAbort() throws Exception {
    AbortSeen abort = onlyAbort(doing(What.STORE, ADDRESS + 24));

    assertThat(abort.esr()).isEqualTo(DATA_ABORT);
    assertThat(abort.far()).isEqualTo(ADDRESS + 24);
  }

  @Test
  void aPairLoadedFromALostPageIsADataAbort() throws Exception {
    AbortSeen abort = onlyAbort(doing(What.LOAD_PAIR, ADDRESS));

    assertThat(abort.esr()).isEqualTo(DATA_ABORT);
    assertThat(abort.far()).isEqualTo(ADDRESS);
  }

  @Test
  void aFetchFromALostPageIsAnInstructionAbort() throws Exception {
    AbortSeen abort = onlyAbort(doing(What.EXECUTE, ADDRESS + 16));

    assertThat(abort.esr()).isEqualTo(INSTRUCTION_ABORT);
    assertThat(abort.far()).isEqualTo(ADDRESS + 16);
    assertThat(abort.elr()).isEqualTo(ADDRESS + 16);
    assertThat(abort.vector()).isEqualTo(FROM_EL1);
  }

  @Test
  void aFetchOfAProgramIsAnInstructionAbortFromBelow() throws Exception {
    AbortSeen abort = onlyAbort(doing(What.EXECUTE_BELOW, ADDRESS).withoutMmu());

    assertThat(abort.esr()).isEqualTo(INSTRUCTION_ABORT_BELOW);
    assertThat(abort.far()).isEqualTo(ADDRESS);
    assertThat(abort.vector()).isEqualTo(FROM_EL0);
  }

  @Test
  void aGuestSwitchesItselfOffByItsFirmware() throws Exception {
    try (GuestFixture fixture = fixture(doing(What.SYSTEM_OFF, 0))) {
      fixture.fill(NONE, NONE);

      GuestExit exit = fixture.runToExit();

      assertThat(exit)
          .isEqualTo(new GuestExit(GuestExit.Kind.POWERED_OFF, "the guest switched itself off"));
    }
  }

  @Test
  void aLostTranslationTableIsAnAbortOfTheFirstAccess() throws Exception {
    long table = 2;
    WalkerGuestBuilder builder = doing(What.LOAD, ADDRESS);
    try (GuestFixture fixture = fixture(builder)) {
      fixture.fill(pages(table), NONE);

      GuestExit exit = fixture.runToExit();

      // Without its table the guest finds no vector either.
      assertThat(exit.kind()).as(exit.reason()).isEqualTo(GuestExit.Kind.SHUTDOWN);
      assertThat(exit.reason())
          .matches(
              "vCPU 0 consumed poison at GPA 0x40002000 while it had not left the vector of the"
                  + " abort before \\(0x40000[0-9a-f]{3}\\)");
      assertThat(errors.injected()).hasSize(1);
    }
  }

  @ParameterizedTest
  @EnumSource(Withdrawal.class)
  void whereTheHostHasNoMemoryAKnownLossIsFoundInTheInstructionsReach(Withdrawal withdrawal)
      throws Exception {
    errors.know(ADDRESS);
    AbortSeen abort = abortWhereNothingIs(withdrawal, What.LOAD_PAIR);

    assertThat(errors.consumed())
        .extracting(MemoryError::input)
        .containsExactly(MemoryError.Input.RUN_FAILED);
    assertThat(abort.esr()).isEqualTo(DATA_ABORT);
    assertThat(abort.far()).isEqualTo(ADDRESS + 24);
  }

  private AbortSeen abortWhereNothingIs(Withdrawal withdrawal, What what) throws Exception {
    try (GuestFixture fixture = fixture(doing(what, ADDRESS + 24))) {
      fixture.fill(NONE, pages(PAGE));
      withdrawal.apply(fixture, kernel, PAGE);

      GuestExit exit = fixture.runToExit();

      assertThat(exit.kind()).as(exit.reason()).isEqualTo(GuestExit.Kind.POWERED_OFF);
      assertThat(reports.unexpected()).isEmpty();
      assertThat(reports.aborts()).hasSize(1);
      return reports.aborts().get(0);
    }
  }

  @Test
  void whereTheHostHasNoMemoryAndNoLossIsKnownTheGuestFails() throws Exception {
    try (GuestFixture fixture = fixture(doing(What.LOAD, ADDRESS))) {
      fixture.fill(NONE, NONE);
      assertThat(kernel.unmap(fixture.guest().memory().hostAddressOf(PAGE), 4096)).isZero();

      GuestExit exit = fixture.runToExit();

      assertThat(exit.kind()).isEqualTo(GuestExit.Kind.FAILED);
      assertThat(exit.reason()).contains("KVM_RUN failed with EFAULT and says not where");
      assertThat(errors.consumed()).isEmpty();
    }
  }

  @Test
  void anAccessToNothingThatTheProcessorDoesNotDescribeIsABusAbort() throws Exception {
    long nothing = 0x0c00_0000L;
    try (GuestFixture fixture = fixture(doing(What.LOAD_PAIR, nothing))) {
      fixture.fill(NONE, NONE);

      GuestExit exit = fixture.runToExit();

      assertThat(exit.kind()).as(exit.reason()).isEqualTo(GuestExit.Kind.POWERED_OFF);
      assertThat(reports.aborts()).hasSize(1);
      assertThat(reports.aborts().get(0).esr()).isEqualTo(DATA_ABORT);
      assertThat(reports.aborts().get(0).far()).isEqualTo(nothing);
      assertThat(errors.consumed()).isEmpty();
    }
  }
}
