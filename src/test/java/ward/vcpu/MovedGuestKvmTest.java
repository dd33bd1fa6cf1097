package ward.vcpu;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.io.TempDir;
import ward.guest.Guest;
import ward.kernel.Kernel;
import ward.kernel.NativeKernel;
import ward.memory.PageSet;
import ward.source.SourceMemory;
import ward.testbed.WalkerGuest;
import ward.testbed.WalkerGuestBuilder;
import ward.testbed.WalkerReports;
import ward.testing.RequiresKvm;

/** A real guest that leaves one VM in the middle of its work and goes on in another. */
@RequiresKvm
@Timeout(value = 4, unit = TimeUnit.MINUTES)
class MovedGuestKvmTest {

  private static final long MIB = 1 << 20;

  /** arm64 is tested under emulation, where a walk takes longer, and a new VM much longer. */
  private static final long RUN_MILLIS = System.getProperty("os.arch").equals("aarch64") ? 100 : 20;

  @TempDir private Path directory;

  private final Kernel kernel = NativeKernel.load();
  private final RecordedErrors errors = new RecordedErrors();
  private final WalkerReports reports = new WalkerReports();
  private final KvmGuestFactory factory = new KvmGuestFactory(kernel, errors, reports);

  @Test
  void aGuestGoesOnInAnotherVmWhereItWasStopped() throws Exception {
    Path file = directory.resolve("memory");
    try (FileChannel channel =
        FileChannel.open(
            file, StandardOpenOption.CREATE, StandardOpenOption.READ, StandardOpenOption.WRITE)) {
      WalkerGuest walker = new WalkerGuestBuilder(64 * MIB, 2, 3).writeTo(channel);
      try (SourceMemory memory =
          SourceMemory.map(kernel, file, walker.layout(), SourceMemory.Access.RUN)) {
        byte[] state = walker.vcpuStates();
        int stops = 0;
        boolean ended = false;
        while (!ended) {
          try (Guest guest = factory.createOver(memory.memory(), state)) {
            guest.resume();
            Thread.sleep(RUN_MILLIS);
            guest.pause();
            ended = guest.exited().toCompletableFuture().isDone();
            if (!ended) {
              state = guest.save();
              stops++;
            }
          }
        }

        assertThat(stops).isGreaterThan(1);
        assertThat(reports.unexpected()).isEmpty();
        assertThat(reports.passes())
            .hasSize(4)
            .allSatisfy(
                pass ->
                    assertThat(pass.sum())
                        .isEqualTo(walker.expectedSum(channel, pass.vcpu(), new PageSet())));
      }
    }
  }

  /** The program asks it for each page that it finds lost; here nothing is, and nobody asks. */
  @Test
  @EnabledOnOs(architectures = "amd64", disabledReason = "the device is at I/O ports")
  void whatTheCopyingDeviceHoldsGoesAlong() throws Exception {
    byte[] held = new byte[CopyDevice.STATE_BYTES];
    held[Long.BYTES] = CopyDevice.DONE;
    held[CopyDevice.STATE_BYTES - 1] = 42;
    Path file = directory.resolve("memory");
    try (FileChannel channel =
        FileChannel.open(
            file, StandardOpenOption.CREATE, StandardOpenOption.READ, StandardOpenOption.WRITE)) {
      WalkerGuest walker = new WalkerGuestBuilder(16 * MIB, 1, 3).writeTo(channel);
      VcpuStates first = VcpuStates.parse(walker.vcpuStates());
      byte[] state =
          new VcpuStates(first.architecture(), Map.of(CopyDevice.SECTION, held), first.vcpus())
              .toBytes();
      try (SourceMemory memory =
          SourceMemory.map(kernel, file, walker.layout(), SourceMemory.Access.RUN)) {
        for (int move = 0; move < 2; move++) {
          try (Guest guest = factory.createOver(memory.memory(), state)) {
            guest.resume();
            guest.pause();
            state = guest.save();
          }
        }

        assertThat(VcpuStates.parse(state).machine()).containsEntry(CopyDevice.SECTION, held);
      }
    }
  }

  /** Bit 31 of a register in which no processor has one yet. */
  @Test
  @EnabledOnOs(architectures = "amd64", disabledReason = "only x86 has CPUID")
  void aHostThatCannotOfferWhatTheGuestHasSeenRefusesItBeforeItRuns() throws Exception {
    Path file = directory.resolve("memory");
    try (FileChannel channel =
        FileChannel.open(
            file, StandardOpenOption.CREATE, StandardOpenOption.READ, StandardOpenOption.WRITE)) {
      WalkerGuest walker = new WalkerGuestBuilder(16 * MIB, 1, 3).writeTo(channel);
      try (SourceMemory memory =
          SourceMemory.map(kernel, file, walker.layout(), SourceMemory.Access.RUN)) {
        byte[] state;
        try (Guest guest = factory.createOver(memory.memory(), walker.vcpuStates())) {
          state = guest.save();
        }

        assertThatThrownBy(() -> factory.createOver(memory.memory(), havingSeenMore(state)))
            .isInstanceOf(UnsupportedKvmException.class)
            .hasMessageContaining("vCPU 0: the guest has seen CPUID leaf 0x7 subleaf 2 EDX bit 31");
      }
    }
  }

  private static byte[] havingSeenMore(byte[] state) throws IOException {
    VcpuStates states = VcpuStates.parse(state);
    VcpuState vcpu = states.vcpus().get(0);
    Map<String, byte[]> sections = new HashMap<>(vcpu.sections());
    sections.put(KvmCpuid.SECTION, withLeaf7Subleaf2(vcpu.section(KvmCpuid.SECTION)));
    VcpuState altered = new VcpuState(0, sections);
    return new VcpuStates(states.architecture(), states.machine(), List.of(altered)).toBytes();
  }

  /** Before, and so in place of, whatever else is said about it. */
  private static byte[] withLeaf7Subleaf2(byte[] cpuid) {
    int entry = KvmCpuid.HEADER_BYTES;
    ByteBuffer after =
        ByteBuffer.allocate(cpuid.length + KvmCpuid.ENTRY_BYTES).order(ByteOrder.LITTLE_ENDIAN);
    after.put(cpuid, 0, entry);
    after.putInt(0, after.getInt(0) + 1);
    after.putInt(entry + KvmCpuid.FUNCTION, 7);
    after.putInt(entry + KvmCpuid.INDEX, 2);
    after.putInt(entry + KvmCpuid.EDX, 1 << 31);
    after.position(entry + KvmCpuid.ENTRY_BYTES);
    after.put(cpuid, entry, cpuid.length - entry);
    return after.array();
  }
}
