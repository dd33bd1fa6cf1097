package ward.vcpu;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.io.TempDir;
import ward.guest.Guest;
import ward.guest.GuestExit;
import ward.kernel.Kernel;
import ward.kernel.NativeKernel;
import ward.poison.Severity;
import ward.source.SourceMemory;
import ward.testbed.WalkerGuest;
import ward.testbed.WalkerGuestBuilder;
import ward.testing.RequiresKvm;
import ward.vcpu.CheckReports.Seen;

/** A machine check that is under way when its guest leaves one VM for another. */
@RequiresKvm
@EnabledOnOs(architectures = "amd64", disabledReason = "the guest is x86-64 code")
@Timeout(value = 4, unit = TimeUnit.MINUTES)
class MovedMachineCheckKvmTest {

  private static final int WANTED = 32;
  private static final int HOLD = 40;

  @TempDir private Path directory;

  private final Kernel kernel = NativeKernel.load();
  private final RecordedErrors errors = new RecordedErrors();
  private final CheckReports reports = new CheckReports();
  private final KvmGuestFactory factory = new KvmGuestFactory(kernel, errors, reports);
  private FileChannel file;
  private WalkerGuest program;
  private SourceMemory memory;

  @BeforeEach
  void open() throws IOException {
    Path path = directory.resolve("memory");
    file =
        FileChannel.open(
            path, StandardOpenOption.CREATE, StandardOpenOption.READ, StandardOpenOption.WRITE);
    program = new WalkerGuestBuilder(16 << 20, 1, 1).running("checks").writeTo(file);
    memory = SourceMemory.map(kernel, path, program.layout(), SourceMemory.Access.RUN);
  }

  @AfterEach
  void close() throws IOException {
    memory.close();
    file.close();
  }

  private void parameter(int offset, long value) throws IOException {
    ByteBuffer bytes = ByteBuffer.allocate(Long.BYTES);
    bytes.put(0, (byte) value);
    file.write(bytes, WalkerGuestBuilder.parametersAddress(0) + offset);
  }

  private static MemoryError required(long gpa) {
    return new MemoryError(
        OptionalLong.of(gpa),
        Severity.ACTION_REQUIRED,
        12,
        MemoryError.Input.SIGBUS_ACTION_REQUIRED,
        0);
  }

  /** The program's first state, with errors that the guest has not heard of. */
  private byte[] stateWith(MemoryError... waiting) throws IOException {
    VcpuState start = VcpuStates.parse(program.vcpuStates()).vcpus().get(0);
    return states(new VcpuState(0, start.sections(), List.of(waiting), Optional.empty(), false));
  }

  private static byte[] states(VcpuState vcpu) {
    return new VcpuStates(VcpuStates.X86_64, Map.of(), List.of(vcpu)).toBytes();
  }

  private void runToEnd(byte[] state) throws Exception {
    try (Guest guest = factory.createOver(memory.memory(), state)) {
      guest.resume();
      GuestExit exit = guest.exited().toCompletableFuture().get(200, TimeUnit.SECONDS);
      assertThat(exit.kind()).as(exit.reason()).isEqualTo(GuestExit.Kind.POWERED_OFF);
    }
  }

  /** Runs until the guest has said so often what it was told, and saves it there. */
  private byte[] runUntil(int checks, byte[] state) throws Exception {
    try (Guest guest = factory.createOver(memory.memory(), state)) {
      guest.resume();
      while (reports.checks().size() < checks) {
        Thread.sleep(1);
      }
      guest.pause();
      return guest.save();
    }
  }

  private void assertSeenOnceEach(long... addresses) {
    assertThat(reports.unknown()).isEmpty();
    assertThat(reports.checks()).extracting(Seen::address).containsExactly(box(addresses));
    assertThat(reports.checks())
        .allSatisfy(
            seen -> {
              assertThat(seen.mcgStatus()).isEqualTo(7);
              assertThat(seen.misc()).isEqualTo(0x8c);
              assertThat(seen.status() & MachineChecks.VALID).isNotZero();
            });
    assertThat(reports.checks()).extracting(Seen::status).containsOnly(expectedStatus());
    assertThat(reports.ends()).containsExactly((long) addresses.length);
  }

  private static Long[] box(long... values) {
    return java.util.Arrays.stream(values).boxed().toArray(Long[]::new);
  }

  /** Of the machine check that the first VM gave the guest. */
  private long expectedStatus() {
    return MachineChecks.encode(CpuVendor.of(vendor()), required(0)).status();
  }

  private String vendor() {
    try (Kvm kvm = Kvm.open(kernel)) {
      return kvm.guestCpuid().vendor();
    } catch (IOException e) {
      throw new java.io.UncheckedIOException(e);
    }
  }

  @Test
  void oneThatKvmHasQueuedAndTheGuestHasNotTakenIsTakenAfterTheMoveOnce() throws Exception {
    parameter(WANTED, 1);
    byte[] moved;
    try (Kvm kvm = Kvm.open(kernel);
        KvmVm vm = kvm.createVm()) {
      X86 architecture = new X86();
      Machine machine = architecture.setUp(kvm, vm);
      vm.setMemory(memory.memory());
      VcpuState start = VcpuStates.parse(program.vcpuStates()).vcpus().get(0);
      try (KvmVcpu vcpu = vm.createVcpu(0)) {
        Processor processor = architecture.setUp(kvm, vm, vcpu, start);
        processor.restore(start);
        processor.inject(required(0x5000));
        moved =
            new VcpuStates(
                    VcpuStates.X86_64, machine.save(), List.of(new VcpuState(0, processor.save())))
                .toBytes();
      }
    }

    runToEnd(moved);

    assertSeenOnceEach(0x5000);
    assertThat(errors.events()).isEmpty();
  }

  @Test
  void oneWhoseHandlerIsAtWorkIsEndedByItAfterTheMoveAndNotTakenAgain() throws Exception {
    parameter(WANTED, 1);
    parameter(HOLD, 1);
    byte[] moved = runUntil(1, stateWith(required(0x5000)));

    parameter(HOLD, 0);
    runToEnd(moved);

    assertSeenOnceEach(0x5000);
    assertThat(errors.injected()).hasSize(1);
  }

  @Test
  void oneThatWardHoldsBackWhileAnotherIsHandledComesAfterTheMoveInItsTurn() throws Exception {
    parameter(WANTED, 2);
    parameter(HOLD, 1);
    byte[] moved = runUntil(1, stateWith(required(0x5000), required(0x9000)));
    List<MemoryError> waiting = VcpuStates.parse(moved).vcpus().get(0).waiting();

    parameter(HOLD, 0);
    runToEnd(moved);

    assertThat(waiting).containsExactly(required(0x9000));
    assertSeenOnceEach(0x5000, 0x9000);
    assertThat(errors.injected()).hasSize(2);
  }
}
