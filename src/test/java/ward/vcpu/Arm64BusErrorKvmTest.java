package ward.vcpu;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.LongSupplier;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.condition.EnabledIfEnvironmentVariable;
import org.junit.jupiter.api.io.TempDir;
import ward.guest.Guest;
import ward.guest.GuestExit;
import ward.guest.GuestMemory;
import ward.kernel.Fd;
import ward.kernel.Kernel;
import ward.kernel.Linux;
import ward.kernel.NativeKernel;
import ward.kernel.NativeMemory;
import ward.kernel.SignalInfo;
import ward.memory.GuestLayout;
import ward.memory.GuestRegion;
import ward.memory.Pages;
import ward.testbed.WalkerCommand;
import ward.testbed.WalkerCommand.What;
import ward.testbed.WalkerGuestBuilder;
import ward.testbed.WalkerReports;
import ward.testbed.WalkerReports.AbortSeen;
import ward.testing.LibC;
import ward.testing.RequiresKvm;

/** An arm64 host that takes an external abort itself, and says so by SIGBUS with BUS_OBJERR. */
@OnArm64
@EnabledIfEnvironmentVariable(
    named = "WARD_LAB",
    matches = "aarch64",
    disabledReason = "only of the lab's machine it is known where no device answers")
@RequiresKvm
@Timeout(240)
class Arm64BusErrorKvmTest {

  /** No device of QEMU's machine "virt" is there: the bus answers with an external abort. */
  private static final long NOTHING = 0x0f00_0000L;

  private static final long MIB = 1 << 20;
  private static final long HIGH = 4L << 30;
  private static final int DATA_ABORT = 0x96000010;

  /** Of the report of a command. */
  private static final int COMMAND_WORDS = 6;

  @TempDir private Path directory;

  private final Kernel kernel = NativeKernel.load();
  private final RecordedErrors errors = new RecordedErrors();
  private final WalkerReports reports = new WalkerReports();

  private long mapNothing(long lengthBytes) throws IOException {
    try (Fd device = kernel.open("/dev/mem", Linux.O_RDWR | Linux.O_CLOEXEC)) {
      return kernel.mapShared(device, NOTHING, lengthBytes, Linux.PROT_READ | Linux.PROT_WRITE);
    }
  }

  private GuestMemory onePageOfNothing() throws IOException {
    GuestLayout layout = new GuestLayout("g", List.of(new GuestRegion(HIGH, Pages.SIZE_BYTES, 0)));
    return new GuestMemory(layout, new long[] {mapNothing(Pages.SIZE_BYTES)});
  }

  /** {@code do_sea()} in arch/arm64/mm/fault.c. */
  @Test
  void anAbortOfAHostsThreadNamesTheByteAndIsALossOfTheGuestsPage() throws Exception {
    GuestMemory memory = onePageOfNothing();
    SignalInfo signal = new SignalInfo();
    long byteInside = memory.hostAddressOf(0) + 8 * 100;

    int result = kernel.fold(byteInside, 8, NativeMemory.allocate(Long.BYTES), signal);

    assertThat(result).isNegative();
    assertThat(signal.code()).isEqualTo(Linux.BUS_OBJERR);
    assertThat(signal.address()).isEqualTo(byteInside);
    assertThat(signal.addressLsb()).isZero();
    MemoryErrorDecision decision =
        new MemoryErrorRules(0, memory, errors::lostExtentAt)
            .decide(new MemoryEvent.BusError(signal.code(), signal.address(), signal.addressLsb()));
    assertThat(decision.kind()).isEqualTo(MemoryErrorDecision.Kind.REPORT);
    MemoryError error = decision.error().orElseThrow();
    assertThat(error.input()).isEqualTo(MemoryError.Input.SIGBUS_OBJECT_ERROR);
    assertThat(error.guestPhysicalAddress()).hasValue(HIGH);
    assertThat(error.lsb()).isEqualTo(12);
    kernel.unmap(memory.hostAddressOf(0), Pages.SIZE_BYTES);
  }

  @Test
  void aGuestOfThreadsTakesItForALossInEveryPass() throws Exception {
    GuestMemory memory = onePageOfNothing();
    AtomicInteger lost = new AtomicInteger();
    GuestExit exit;
    try (ThreadGuest guest = new ThreadGuest(kernel, MappedMemory.borrow(memory))) {
      guest.start(
          new ThreadGuestFactory(
                  kernel,
                  errors,
                  1,
                  1,
                  (thread, page, poisoned, hash) -> lost.addAndGet(poisoned ? 1 : 0))
              .reading(memory));
      guest.resume();
      exit = guest.exited().toCompletableFuture().get(60, TimeUnit.SECONDS);
    }

    assertThat(exit.kind()).isEqualTo(GuestExit.Kind.POWERED_OFF);
    assertThat(lost).hasValue(2);
    assertThat(errors.consumed())
        .extracting(MemoryError::input)
        .containsExactly(
            MemoryError.Input.SIGBUS_OBJECT_ERROR, MemoryError.Input.SIGBUS_OBJECT_ERROR);
    kernel.unmap(memory.hostAddressOf(0), Pages.SIZE_BYTES);
  }

  /** The emulator, unlike a processor with RAS, does not heed HCR_EL2.TEA. */
  @Test
  void theGuestsOwnAbortThereGoesStraightToTheGuest() throws Exception {
    try (FilledMemory memory = memory(What.LOAD, HIGH + 24, this::highMemoryIsNothing)) {

      GuestExit exit = run(memory, reports);

      assertThat(exit.kind()).as(exit.reason()).isEqualTo(GuestExit.Kind.POWERED_OFF);
    }
    assertThat(reports.unexpected()).isEmpty();
    assertThat(reports.aborts()).hasSize(1);
    assertThat(reports.aborts().get(0).esr()).isEqualTo(DATA_ABORT);
    assertThat(reports.aborts().get(0).far()).isEqualTo(HIGH + 24);
    assertThat(errors.events()).as("KVM, and so Ward, has heard of nothing").isEmpty();
  }

  private GuestMemory highMemoryIsNothing(Kernel used, GuestLayout layout) throws IOException {
    List<GuestRegion> regions = layout.regions();
    return new GuestMemory(
        layout,
        new long[] {
          used.mapAnonymous(regions.get(0).lengthBytes()), mapNothing(regions.get(1).lengthBytes())
        });
  }

  private FilledMemory memory(What what, long address, FilledMemory.Mapping mapping)
      throws IOException {
    WalkerGuestBuilder builder =
        new WalkerGuestBuilder(16 * MIB, 1, 18)
            .withoutWalks()
            .doing(List.of(new WalkerCommand(what, address)));
    return new FilledMemory(kernel, builder, directory, mapping);
  }

  private GuestExit run(FilledMemory memory, ReportListener listener) throws Exception {
    KvmGuestFactory factory = new KvmGuestFactory(kernel, errors, listener);
    try (Guest guest = factory.createOver(memory.memory(), memory.vcpuStates())) {
      guest.resume();
      return guest.exited().toCompletableFuture().get(200, TimeUnit.SECONDS);
    }
  }

  /** No kernel sends such a signal to a vCPU's thread; here that thread sends it to itself. */
  private MemoryError onlyErrorAfterSignal(FilledMemory memory, LongSupplier address)
      throws Exception {
    AtomicInteger words = new AtomicInteger();
    GuestExit exit =
        run(
            memory,
            (vcpu, word) -> {
              reports.onWord(vcpu, word);
              if (words.incrementAndGet() == COMMAND_WORDS) {
                LibC.signalSelf(
                    kernel.threadId(), Linux.SIGBUS, Linux.BUS_OBJERR, address.getAsLong());
              }
            });

    assertThat(exit.kind()).as(exit.reason()).isEqualTo(GuestExit.Kind.POWERED_OFF);
    assertThat(reports.unexpected()).isEmpty();
    assertThat(reports.aborts()).extracting(AbortSeen::esr).containsExactly(DATA_ABORT);
    assertThat(errors.injected()).hasSize(1);
    assertThat(errors.consumed()).hasSize(1);
    MemoryError error = errors.consumed().get(0);
    assertThat(error.input()).isEqualTo(MemoryError.Input.SIGBUS_OBJECT_ERROR);
    return error;
  }

  @Test
  void aSignalWithAnAddressIsAnAbortForALossThere() throws Exception {
    try (FilledMemory memory = memory(What.LOAD, HIGH, Backing.ANONYMOUS::map)) {
      MemoryError error =
          onlyErrorAfterSignal(memory, () -> memory.memory().hostAddressOfRegion(1) + 0x1018);

      assertThat(error.guestPhysicalAddress()).hasValue(HIGH + Pages.SIZE_BYTES);
    }
  }

  @Test
  void aSignalWithoutAnAddressIsAnAbortForALossNowhere() throws Exception {
    try (FilledMemory memory = memory(What.LOAD, HIGH, Backing.ANONYMOUS::map)) {
      MemoryError error = onlyErrorAfterSignal(memory, () -> 0);

      assertThat(error.guestPhysicalAddress()).isEmpty();
    }
  }
}
