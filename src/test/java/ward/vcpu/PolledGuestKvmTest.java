package ward.vcpu;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalLong;
import java.util.stream.LongStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.io.TempDir;
import ward.guest.Guest;
import ward.kernel.Kernel;
import ward.kernel.NativeKernel;
import ward.kernel.NativeMemory;
import ward.memory.Pages;
import ward.poison.Severity;
import ward.source.SourceMemory;
import ward.testbed.WalkerGuest;
import ward.testbed.WalkerGuestBuilder;
import ward.testbed.WalkerReports;
import ward.testbed.acpi.GhesMemory;
import ward.testing.RequiresKvm;

/** A guest with an error source that moves before it was warned of everything it has lost. */
@RequiresKvm
@EnabledOnOs(architectures = "amd64", disabledReason = "the guest is x86-64 code")
@Timeout(60)
class PolledGuestKvmTest {

  private static final long MIB = 1 << 20;

  /** The last page of low memory: the program only reads it. */
  private static final long FIRMWARE = 96 * MIB - Pages.SIZE_BYTES;

  private static final int RECORD_ERRORS = PolledErrorSource.RECORD_ERRORS_MAX;

  @TempDir private Path directory;

  private final Kernel kernel = NativeKernel.load();
  private final RecordedErrors errors = new RecordedErrors();
  private final KvmGuestFactory factory = new KvmGuestFactory(kernel, errors, new WalkerReports());
  private final GhesMemory ghes = GhesMemory.ofX86(FIRMWARE);
  private final GhesSource place = ghes.layout().sources().get(0);
  private FileChannel file;
  private SourceMemory memory;
  private VcpuStates states;

  @BeforeEach
  void makeAGuest() throws Exception {
    Path path = directory.resolve("memory");
    file =
        FileChannel.open(
            path, StandardOpenOption.CREATE, StandardOpenOption.READ, StandardOpenOption.WRITE);
    WalkerGuest walker = new WalkerGuestBuilder(128 * MIB, 1, 3).writeTo(file);
    memory = SourceMemory.map(kernel, path, walker.layout(), SourceMemory.Access.RUN);
    states = VcpuStates.parse(walker.vcpuStates());
    write(FIRMWARE, ghes.toBytes());
  }

  @AfterEach
  void giveBack() throws IOException {
    memory.close();
    file.close();
  }

  private long hostAddress(long gpa) {
    return memory.memory().hostAddressOf(gpa >> Pages.SHIFT) + gpa % Pages.SIZE_BYTES;
  }

  private void write(long gpa, byte[] content) {
    NativeMemory source = NativeMemory.allocate(content.length);
    source.putBytes(0, content);
    assertThat(kernel.copy(hostAddress(gpa), source.address(), content.length))
        .isEqualTo(content.length);
  }

  private byte[] read(long gpa, int lengthBytes) {
    NativeMemory target = NativeMemory.allocate(lengthBytes);
    assertThat(kernel.copy(target.address(), hostAddress(gpa), lengthBytes)).isEqualTo(lengthBytes);
    return target.getBytes(0, lengthBytes);
  }

  /** As Linux does. */
  private void acknowledge() {
    write(place.statusBlock(), new byte[ErrorRecord.BLOCK_STATUS_BYTES]);
    write(place.readAckRegister(), new byte[] {1});
  }

  private static List<MemoryError> warnings(int count) {
    return LongStream.rangeClosed(1, count)
        .mapToObj(
            i ->
                new MemoryError(
                    OptionalLong.of(16 * MIB + Pages.bytes(i)),
                    Severity.ACTION_OPTIONAL,
                    12,
                    MemoryError.Input.SIGBUS_ACTION_OPTIONAL,
                    0))
        .toList();
  }

  /** The guest's state with its error sources, and with errors that wait for vCPU 0. */
  private byte[] state(byte[] layout, List<MemoryError> waiting) {
    Map<String, byte[]> machine = new HashMap<>(states.machine());
    machine.put(GhesLayout.SECTION, layout);
    List<VcpuState> vcpus = new ArrayList<>(states.vcpus());
    vcpus.set(0, new VcpuState(0, vcpus.get(0).sections(), waiting, false));
    return new VcpuStates(states.architecture(), machine, vcpus).toBytes();
  }

  private void assertRecordOf(List<MemoryError> expected) {
    byte[] record = new ErrorRecord(expected).toBytes();
    assertThat(read(place.statusBlock(), record.length)).containsExactly(record);
    assertThat(read(place.readAckRegister(), 1)).containsExactly(0);
  }

  private void awaitRecord() throws InterruptedException {
    while (read(place.statusBlock(), 1)[0] == 0) {
      Thread.sleep(1);
    }
  }

  /** The vCPU takes warnings until the next record is full. */
  private void awaitInjected(int count) throws InterruptedException {
    while (errors.injected().size() < count) {
      Thread.sleep(1);
    }
  }

  /** One at first, and when that has been read as many as a record takes; the rest travels. */
  @Test
  void warningsGoOutByTheRecordAndTheRestTravelsWithTheSource() throws Exception {
    List<MemoryError> all = warnings(1 + RECORD_ERRORS + 3);
    byte[] layout = ghes.layout().toBytes();
    VcpuStates saved;

    try (Guest guest = factory.createOver(memory.memory(), state(layout, all))) {
      guest.resume();
      awaitRecord();
      assertRecordOf(all.subList(0, 1));
      awaitInjected(1 + RECORD_ERRORS);
      acknowledge();
      awaitRecord();
      guest.pause();
      saved = VcpuStates.parse(guest.save());
    }

    assertRecordOf(all.subList(1, 1 + RECORD_ERRORS));
    List<MemoryError> rest = all.subList(1 + RECORD_ERRORS, all.size());
    assertThat(saved.vcpus().get(0).waiting()).isEqualTo(rest);
    assertThat(saved.machine().get(GhesLayout.SECTION)).containsExactly(layout);
    acknowledge();
    try (Guest guest = factory.createOver(memory.memory(), saved.toBytes())) {
      guest.resume();
      awaitRecord();
    }
    assertRecordOf(rest.subList(0, 1));
  }

  @Test
  void anErrorSourceOutsideTheGuestsRamIsRefused() {
    byte[] layout = GhesMemory.ofX86(512 * MIB).layout().toBytes();

    assertThatThrownBy(() -> factory.createOver(memory.memory(), state(layout, List.of())))
        .isInstanceOf(IOException.class)
        .hasMessageContaining("which are not all in one region of its RAM");
  }
}
