package ward.vcpu;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.tuple;

import java.io.IOException;
import java.nio.file.Path;
import java.util.Set;
import java.util.stream.Stream;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import ward.guest.GuestExit;
import ward.kernel.Kernel;
import ward.kernel.NativeKernel;
import ward.testbed.WalkerGuestBuilder;
import ward.testing.RequiresKvm;
import ward.vcpu.Probe.Access;

/**
 * One access to one lost page, of every kind that a processor has, and what the guest can notice of
 * it: the machine check, and nothing else.
 */
@RequiresKvm
@Timeout(60)
class MemoryErrorKvmTest {

  private static final long MIB = 1 << 20;
  private static final long PAGE = 2000;
  private static final long PAGE_GPA = PAGE << 12;

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

  private GuestFixture fixture(Backing backing, int ring, Access access) throws IOException {
    long place = access.isRepeated() ? PAGE_GPA : PAGE_GPA + 0x128;
    WalkerGuestBuilder builder =
        new WalkerGuestBuilder(16 * MIB, 1, 13).running("probe", access.number, place);
    KvmGuestFactory factory = new KvmGuestFactory(kernel, errors, probe);
    return new GuestFixture(
        kernel,
        (layout, states) -> factory.createOver(backing.map(kernel, layout), states),
        ring == 0 ? builder.inRing0() : builder,
        directory,
        backing.pageBytes);
  }
}
