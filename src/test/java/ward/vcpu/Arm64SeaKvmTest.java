package ward.vcpu;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeFalse;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Proxy;
import java.nio.file.Path;
import java.util.List;
import java.util.OptionalLong;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.condition.EnabledIfEnvironmentVariable;
import org.junit.jupiter.api.io.TempDir;
import ward.guest.GuestExit;
import ward.kernel.Ioctl;
import ward.kernel.Kernel;
import ward.kernel.NativeKernel;
import ward.memory.PageSet;
import ward.testbed.WalkerCommand;
import ward.testbed.WalkerCommand.What;
import ward.testbed.WalkerGuestBuilder;
import ward.testbed.WalkerReports;
import ward.testbed.WalkerReports.AbortSeen;
import ward.testbed.lab.SeaRequest;
import ward.testing.RequiresKvm;

/** Aborts that come from memory itself, as the lab forges them before KVM looks. */
@OnArm64
@EnabledIfEnvironmentVariable(
    named = "WARD_LAB",
    matches = "aarch64",
    disabledReason = "the emulated memory has no errors; testbed/lab arm64 forges them")
@RequiresKvm
@Timeout(300)
class Arm64SeaKvmTest {

  private static final long MIB = 1 << 20;
  private static final PageSet NONE = new PageSet();
  private static final long PAGE_ADDRESS = (1L << 30) + (1000L << 12);
  private static final long ADDRESS = PAGE_ADDRESS + 24;

  private static final int DATA_ABORT = 0x96000010;
  private static final int DATA_ABORT_WITHOUT_ADDRESS = 0x96000410;
  private static final int INSTRUCTION_ABORT = 0x86000010;
  private static final int SERROR_VECTOR = 0x380;

  @TempDir private Path directory;

  private final Kernel kernel = NativeKernel.load();
  private final RecordedErrors errors = new RecordedErrors();
  private final WalkerReports reports = new WalkerReports();

  private void requireTheExit() throws IOException {
    assumeTrue(
        has(Arm64.CAP_ARM_SEA_TO_USER), "this kernel has no KVM_CAP_ARM_SEA_TO_USER (Linux 6.19)");
  }

  private boolean has(int extension) throws IOException {
    try (Kvm kvm = Kvm.open(kernel)) {
      return kvm.checkExtension(extension) > 0;
    }
  }

  private void requireRas() throws IOException {
    assumeTrue(
        has(Arm64.CAP_ARM_INJECT_SERROR_ESR),
        "this processor has no RAS, without which KVM keeps every external abort to itself");
  }

  private GuestExit run(Kernel used, SeaRequest request, WalkerCommand... commands)
      throws Exception {
    KvmGuestFactory factory = new KvmGuestFactory(used, errors, reports);
    WalkerGuestBuilder builder =
        new WalkerGuestBuilder(16 * MIB, 1, 6).withoutWalks().doing(List.of(commands));
    try (GuestFixture fixture = new GuestFixture(kernel, factory, builder, directory)) {
      fixture.fill(NONE, NONE);
      request.arm();
      return fixture.runToExit();
    }
  }

  private AbortSeen onlyAbort(What what, SeaRequest request) throws Exception {
    requireTheExit();
    requireRas();
    GuestExit exit = run(kernel, request, new WalkerCommand(what, ADDRESS));
    assertThat(exit.kind()).as(exit.reason()).isEqualTo(GuestExit.Kind.POWERED_OFF);
    assertThat(reports.unexpected()).isEmpty();
    assertThat(reports.aborts()).hasSize(1);
    return reports.aborts().get(0);
  }

  private static SeaRequest external(long bits, boolean physicalAddressKnown) {
    return new SeaRequest(ADDRESS, SeaRequest.EXTERNAL_ABORT, bits, physicalAddressKnown);
  }

  private MemoryError onlyError() {
    assertThat(errors.consumed()).hasSize(1);
    assertThat(errors.injected()).hasSize(1);
    MemoryError error = errors.consumed().get(0);
    assertThat(error.input()).isEqualTo(MemoryError.Input.ARM_SEA);
    return error;
  }

  @Test
  void aLoadsAbortIsALossAtItsAddress() throws Exception {
    AbortSeen abort = onlyAbort(What.LOAD, external(0, true));

    assertThat(onlyError().guestPhysicalAddress()).hasValue(PAGE_ADDRESS);
    assertThat(onlyError().access())
        .isEqualTo(new GuestAccess(GuestAccess.Kind.LOAD, OptionalLong.of(ADDRESS)));
    assertThat(abort.esr()).isEqualTo(DATA_ABORT);
    assertThat(abort.far()).isEqualTo(ADDRESS);
  }

  @Test
  void aStoresAbortSaysThatItIsOne() throws Exception {
    AbortSeen abort = onlyAbort(What.STORE, external(0, true));

    assertThat(onlyError().access().kind()).isEqualTo(GuestAccess.Kind.STORE);
    assertThat(abort.esr()).isEqualTo(DATA_ABORT);
    assertThat(abort.far()).isEqualTo(ADDRESS);
  }

  @Test
  void aFetchsAbortIsAnInstructionAbort() throws Exception {
    AbortSeen abort = onlyAbort(What.EXECUTE, external(0, true));

    assertThat(onlyError().access().kind()).isEqualTo(GuestAccess.Kind.FETCH);
    assertThat(abort.esr()).isEqualTo(INSTRUCTION_ABORT);
    assertThat(abort.far()).isEqualTo(ADDRESS);
    assertThat(abort.elr()).isEqualTo(ADDRESS);
  }

  @Test
  void whereNoAddressIsKnownTheGuestIsToldSo() throws Exception {
    AbortSeen abort = onlyAbort(What.LOAD, external(SeaRequest.FAR_NOT_VALID, false));

    assertThat(onlyError().guestPhysicalAddress()).isEmpty();
    assertThat(onlyError().access().guestVirtualAddress()).isEmpty();
    assertThat(abort.esr()).isEqualTo(DATA_ABORT_WITHOUT_ADDRESS);
  }

  @Test
  void withTheGuestPhysicalAddressUnknownTheVirtualOneStillReachesTheGuest() throws Exception {
    AbortSeen abort = onlyAbort(What.LOAD, external(0, false));

    assertThat(onlyError().guestPhysicalAddress()).isEmpty();
    assertThat(abort.far()).isEqualTo(ADDRESS);
  }

  @Test
  void anAbortOfATableWalkNamesNoPage() throws Exception {
    AbortSeen abort =
        onlyAbort(What.LOAD, new SeaRequest(ADDRESS, SeaRequest.EXTERNAL_ABORT_ON_WALK, 0, true));

    assertThat(onlyError().guestPhysicalAddress()).isEmpty();
    assertThat(abort.esr()).isEqualTo(DATA_ABORT);
    assertThat(abort.far()).isEqualTo(ADDRESS);
  }

  @Test
  void withoutTheCapabilityKvmTellsTheGuestAloneByAnSError() throws Exception {
    assertToldByAnSErrorAlone(withoutTheExtension());
  }

  /** On such a processor no abort of a guest's access comes to the host's level. */
  @Test
  void withoutRasKvmTakesTheAbortForItsOwnAndTellsTheGuestByAnSError() throws Exception {
    requireTheExit();
    assumeFalse(has(Arm64.CAP_ARM_INJECT_SERROR_ESR), "this processor has RAS");

    assertToldByAnSErrorAlone(kernel);
  }

  private void assertToldByAnSErrorAlone(Kernel used) throws Exception {
    GuestExit exit =
        run(
            used,
            external(0, true),
            new WalkerCommand(What.LOAD, ADDRESS),
            new WalkerCommand(What.UNMASK, 0));

    assertThat(exit.kind()).as(exit.reason()).isEqualTo(GuestExit.Kind.POWERED_OFF);
    assertThat(errors.consumed()).isEmpty();
    assertThat(reports.aborts()).extracting(AbortSeen::vector).containsExactly(SERROR_VECTOR);
  }

  /** As a kernel before 6.19 answers. */
  private Kernel withoutTheExtension() {
    return (Kernel)
        Proxy.newProxyInstance(
            Kernel.class.getClassLoader(),
            new Class<?>[] {Kernel.class},
            (proxy, method, arguments) -> {
              if (method.getName().equals("ioctl")
                  && arguments[1] instanceof Ioctl request
                  && request.equals(KvmRequest.CHECK_EXTENSION)
                  && arguments[2] instanceof Long extension
                  && extension == Arm64.CAP_ARM_SEA_TO_USER) {
                return 0;
              }
              try {
                return method.invoke(kernel, arguments);
              } catch (InvocationTargetException e) {
                throw e.getCause();
              }
            });
  }
}
