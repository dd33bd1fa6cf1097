package ward.vcpu;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import ward.guest.GuestExit;
import ward.kernel.Kernel;
import ward.kernel.NativeKernel;
import ward.memory.PageSet;
import ward.testbed.WalkerCommand;
import ward.testbed.WalkerCommand.What;
import ward.testbed.WalkerGuestBuilder;
import ward.testbed.WalkerReports;
import ward.testbed.WalkerReports.AbortSeen;
import ward.testing.HugePages;
import ward.testing.MemoryFailure;
import ward.testing.RequiresKvm;

/** A real arm64 guest over every kind of memory, which is lost by a marker or in earnest. */
@OnArm64
@RequiresKvm
@Timeout(240)
class Arm64MemoryFailureKvmTest {

  private static final long MIB = 1 << 20;
  private static final long RAM = 1L << 30;
  private static final long PAGE = 1000;
  private static final long PAGE_GPA = RAM + (PAGE << 12);
  private static final long ADDRESS = PAGE_GPA + 24;

  private static final int DATA_ABORT_OF_EL1 = 0x96000010;

  /** The same on the walk of a translation table, level 2: newer kernels say so. */
  private static final int ABORT_ON_WALK_OF_EL1 = 0x96000016;

  /** How a page is lost. */
  private enum Loss {
    MARKER {
      @Override
      void fill(GuestFixture fixture, long page) throws Exception {
        fixture.fillImageWithout(page);
        fixture.poison(page);
      }
    },
    FAILURE {
      @Override
      void fill(GuestFixture fixture, long page) throws Exception {
        fixture.fillImageAnd(page);
        MemoryFailure.loseThePageAt(fixture.hostAddressOf(page));
      }
    };

    /** Makes the guest ready to run, but for one page. */
    abstract void fill(GuestFixture fixture, long page) throws Exception;

    void require() {
      if (this == FAILURE) {
        MemoryFailure.require();
      }
    }
  }

  @TempDir private Path directory;

  private final Kernel kernel = NativeKernel.load();
  private final RecordedErrors errors = new RecordedErrors();
  private final WalkerReports reports = new WalkerReports();

  private GuestFixture fixture(Backing backing, WalkerGuestBuilder builder) throws Exception {
    KvmGuestFactory factory = new KvmGuestFactory(kernel, errors, reports);
    return new GuestFixture(kernel, factory, builder, directory, backing);
  }

  private static WalkerGuestBuilder doing(What what, long address) {
    return new WalkerGuestBuilder(16 * MIB, 1, 16)
        .withoutWalks()
        .doing(List.of(new WalkerCommand(what, address)));
  }

  private AbortSeen onlyAbort(Backing backing, Loss loss, What what, long address, long lost)
      throws Exception {
    loss.require();
    try (GuestFixture fixture = fixture(backing, doing(what, address))) {
      loss.fill(fixture, lost);

      GuestExit exit = fixture.runToExit();

      assertThat(exit.kind()).as(exit.reason()).isEqualTo(GuestExit.Kind.POWERED_OFF);
    }
    assertThat(reports.unexpected()).isEmpty();
    assertThat(reports.commands()).as("the guest runs on").hasSize(1);
    assertThat(reports.aborts()).hasSize(1);
    return reports.aborts().get(0);
  }

  /** A page that is lost in earnest may have been told of before it was touched. */
  private MemoryError onlyConsumed() {
    List<MemoryError> consumed = new ArrayList<>(errors.consumed());
    consumed.removeIf(error -> error.input() == MemoryError.Input.SIGBUS_ACTION_OPTIONAL);
    assertThat(consumed).hasSize(1);
    assertThat(consumed.get(0).input()).isEqualTo(MemoryError.Input.SIGBUS_ACTION_REQUIRED);
    return consumed.get(0);
  }

  @ParameterizedTest
  @CsvSource({
    "FAILURE, ANONYMOUS,  LOAD,          0x96000010",
    "FAILURE, ANONYMOUS,  STORE,         0x96000010",
    "FAILURE, ANONYMOUS,  EXECUTE,       0x86000010",
    "FAILURE, ANONYMOUS,  LOAD_BELOW,    0x92000010",
    "FAILURE, ANONYMOUS,  STORE_BELOW,   0x92000010",
    "FAILURE, ANONYMOUS,  EXECUTE_BELOW, 0x82000010",
    "FAILURE, MEMFD,      LOAD,          0x96000010",
    "FAILURE, MEMFD,      STORE_BELOW,   0x92000010",
    "FAILURE, MEMFD,      EXECUTE_BELOW, 0x82000010",
    "MARKER,  ANONYMOUS,  LOAD_BELOW,    0x92000010",
    "MARKER,  ANONYMOUS,  STORE_BELOW,   0x92000010",
    "MARKER,  MEMFD,      LOAD,          0x96000010",
    "MARKER,  MEMFD,      STORE_BELOW,   0x92000010",
    "MARKER,  MEMFD,      EXECUTE,       0x86000010",
  })
  void aLostPageIsAnExternalAbortOfTheAccessAtItsAddress(
      Loss loss, Backing backing, What what, long syndrome) throws Exception {
    long address = isBelow(what) ? WalkerCommand.mappedForEl0(ADDRESS) : ADDRESS;

    AbortSeen abort = onlyAbort(backing, loss, what, address, PAGE);

    assertThat(Integer.toUnsignedLong(abort.esr())).isEqualTo(syndrome);
    assertThat(abort.far()).isEqualTo(address);
    assertThat(abort.vector()).isEqualTo(isBelow(what) ? 0x400 : 0x200);
    assertThat(onlyConsumed().guestPhysicalAddress()).hasValue(PAGE_GPA);
    assertThat(onlyConsumed().lsb()).isEqualTo(12);
  }

  private static boolean isBelow(What what) {
    return what.name().endsWith("_BELOW");
  }

  @ParameterizedTest
  @CsvSource({"MARKER, LOAD", "MARKER, STORE_BELOW", "FAILURE, LOAD"})
  void ofALostHugePageTheHostSaysItsWholeExtent(Loss loss, What what) throws Exception {
    long address = isBelow(what) ? WalkerCommand.mappedForEl0(ADDRESS) : ADDRESS;
    try (HugePages pages = HugePages.reserve(8)) {
      assertThat(pages).isNotNull();

      AbortSeen abort = onlyAbort(Backing.HUGE_PAGES, loss, what, address, PAGE);

      assertThat(abort.far()).isEqualTo(address);
    }
    assertThat(onlyConsumed().guestPhysicalAddress()).hasValue(PAGE_GPA);
    assertThat(onlyConsumed().lsb()).isEqualTo(21);
  }

  @ParameterizedTest
  @CsvSource({"MARKER, LOAD", "FAILURE, LOAD", "FAILURE, STORE", "MARKER, EXECUTE"})
  void aLostTranslationTableIsAnAbortAtTheAddressThatNeededIt(Loss loss, What what)
      throws Exception {
    long address = WalkerCommand.mappedForEl0(ADDRESS);

    AbortSeen abort =
        onlyAbort(Backing.ANONYMOUS, loss, what, address, WalkerCommand.TABLE_FOR_EL0_PAGE);

    assertThat(abort.esr())
        .as("a fetch's too: nobody says that it was one")
        .isIn(DATA_ABORT_OF_EL1, ABORT_ON_WALK_OF_EL1);
    assertThat(abort.far()).isEqualTo(address);
    assertThat(onlyConsumed().guestPhysicalAddress())
        .hasValue(RAM + (WalkerCommand.TABLE_FOR_EL0_PAGE << 12));
  }

  /** The thread of a vCPU asks for it (PR_MCE_KILL_EARLY). */
  @Test
  void aLossThatTheHostFindsIsOnTheBooksBeforeTheGuestMeetsIt() throws Exception {
    MemoryFailure.require();
    try (GuestFixture fixture = fixture(Backing.ANONYMOUS, doing(What.LOAD, ADDRESS))) {
      fixture.fill(new PageSet(), new PageSet());
      fixture.awaitVcpus();
      MemoryFailure.loseThePageAt(fixture.hostAddressOf(PAGE));

      GuestExit exit = fixture.runToExit();

      assertThat(exit.kind()).as(exit.reason()).isEqualTo(GuestExit.Kind.POWERED_OFF);
    }
    assertThat(reports.unexpected()).isEmpty();
    assertThat(reports.aborts()).extracting(AbortSeen::far).containsExactly(ADDRESS);
    assertThat(errors.consumed())
        .extracting(MemoryError::input)
        .containsExactly(
            MemoryError.Input.SIGBUS_ACTION_OPTIONAL, MemoryError.Input.SIGBUS_ACTION_REQUIRED);
    assertThat(errors.consumed()).allMatch(error -> error.place().equals(onlyConsumed().place()));
  }
}
