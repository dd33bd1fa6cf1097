package ward.testbed.linux;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;
import ward.vcpu.GhesLayout;
import ward.vcpu.GhesSource;
import ward.vcpu.KvmRegs;
import ward.vcpu.SerialPort;
import ward.vcpu.VcpuStates;

/** Its program is only built for the architectures of Ward. */
@EnabledOnOs(
    value = OS.LINUX,
    architectures = {"amd64", "aarch64"})
class LinuxGuestBuilderTest {

  private static final long MEMORY_BYTES = 8 << 20;
  private static final int BOOT_PARAMETERS = 0x7000;

  @TempDir Path directory;

  private LinuxGuestBuilder builder;

  @BeforeEach
  void makeBuilder() throws IOException {
    builder = new LinuxGuestBuilder("linux", MEMORY_BYTES, new SmallKernel().writeTo(directory));
  }

  private LinuxGuest write() throws IOException {
    try (FileChannel file =
        FileChannel.open(
            directory.resolve("memory"), StandardOpenOption.CREATE, StandardOpenOption.WRITE)) {
      return builder.writeTo(file);
    }
  }

  private ByteBuffer memory() throws IOException {
    try (FileChannel file = FileChannel.open(directory.resolve("memory"))) {
      ByteBuffer memory = ByteBuffer.allocate((int) MEMORY_BYTES).order(ByteOrder.LITTLE_ENDIAN);
      while (memory.hasRemaining() && file.read(memory) >= 0) {
        // a read may be short
      }
      return memory;
    }
  }

  private static String text(ByteBuffer memory, int address) {
    int end = address;
    while (memory.get(end) != 0) {
      end++;
    }
    return new String(memory.array(), address, end - address, StandardCharsets.US_ASCII);
  }

  @Test
  void theFileIsAsLongAsTheMemoryAndTheLayoutSaysSo() throws Exception {
    LinuxGuest guest = write();

    assertThat(directory.resolve("memory")).hasSize(MEMORY_BYTES);
    assertThat(guest.layout().fileBytes()).isEqualTo(MEMORY_BYTES);
  }

  @Test
  void theKernelStandsWhereItPrefersToBe() throws Exception {
    write();

    byte[] loaded = new byte[SmallKernel.COMPRESSED.length];
    memory().get((int) SmallKernel.PREFERRED_ADDRESS, loaded);
    assertThat(loaded).isEqualTo(SmallKernel.COMPRESSED);
  }

  @Test
  void theKernelIsToldItsCommandLineAndItsFirstFiles() throws Exception {
    builder.with("ignore_loglevel");

    write();

    ByteBuffer memory = memory();
    String commandLine = text(memory, memory.getInt(BOOT_PARAMETERS + 0x228));
    assertThat(commandLine).startsWith("console=ttyS0 ").contains(" ignore_loglevel ");
    int files = memory.getInt(BOOT_PARAMETERS + 0x218);
    int filesBytes = memory.getInt(BOOT_PARAMETERS + 0x21c);
    assertThat(text(memory, files)).startsWith("070701");
    assertThat(files % 4096).isZero();
    assertThat((long) files + filesBytes).isLessThanOrEqualTo(MEMORY_BYTES);
  }

  @Test
  void theKernelIsToldWhichMemoryIsItsOwn() throws Exception {
    write();

    ByteBuffer memory = memory();
    assertThat(memory.get(BOOT_PARAMETERS + 0x1e8)).isEqualTo((byte) 3);
    assertThat(memoryMap(memory))
        .isEqualTo("0x0..0xa0000 1, 0xd0000..0x100000 2, 0x100000..0x800000 1");
  }

  private static String memoryMap(ByteBuffer memory) {
    StringBuilder map = new StringBuilder();
    for (int i = 0; i < memory.get(BOOT_PARAMETERS + 0x1e8); i++) {
      int entry = BOOT_PARAMETERS + 0x2d0 + 20 * i;
      long from = memory.getLong(entry);
      map.append(i == 0 ? "" : ", ");
      map.append(
          "0x%x..0x%x %d"
              .formatted(from, from + memory.getLong(entry + 8), memory.getInt(entry + 16)));
    }
    return map.toString();
  }

  @Test
  void theFirstAddressesAreMappedToThemselves() throws Exception {
    write();

    ByteBuffer memory = memory();
    long table = memory.getLong(0x9000) & ~0xfffL;
    long directory = memory.getLong((int) table + 3 * 8) & ~0xfffL;
    assertThat(memory.getLong((int) directory + 511 * 8) & ~0x1fffffL).isEqualTo(0xffe00000L);
  }

  @Test
  void theAcpiRootPointerStandsWhereKernelsLookForIt() throws Exception {
    write();

    assertThat(text(memory(), 0xe0000)).startsWith("RSD PTR ");
  }

  @Test
  void theVcpuStandsAtThe64BitEntryWithItsParametersInRsi() throws Exception {
    VcpuStates states = VcpuStates.parse(write().vcpuStates());

    assertThat(states.machine()).containsKey(SerialPort.SECTION);
    assertThat(states.vcpus()).hasSize(1);
    byte[] registers = states.vcpus().get(0).sections().get(KvmRegs.SECTION);
    assertThat(new KvmRegs(registers).rip()).isEqualTo(SmallKernel.PREFERRED_ADDRESS + 0x200);
    assertThat(ByteBuffer.wrap(registers).order(ByteOrder.LITTLE_ENDIAN).getLong(32))
        .isEqualTo(BOOT_PARAMETERS);
  }

  @Test
  void onlyAGuestThatIsToPollHasAnErrorSource() throws Exception {
    byte[] none = VcpuStates.parse(write().vcpuStates()).machine().get(GhesLayout.SECTION);
    builder.pollingForErrors();
    LinuxGuest polling = write();

    byte[] one = VcpuStates.parse(polling.vcpuStates()).machine().get(GhesLayout.SECTION);
    assertThat(none).isEmpty();
    assertThat(GhesLayout.parse(one, polling.layout()).sources())
        .extracting(GhesSource::notification)
        .containsExactly(GhesSource.Notification.POLLED);
  }

  @Test
  void aGuestTooSmallForItsKernelIsRefused() throws Exception {
    Path kernel = new SmallKernel().writeTo(directory);

    assertThatThrownBy(() -> new LinuxGuestBuilder("linux", 2 << 20, kernel))
        .isInstanceOf(IOException.class)
        .hasMessage("the kernel needs 4 MiB to begin with; the guest has 2 MiB");
  }

  @Test
  void anOddSizeIsRefused() throws Exception {
    Path kernel = new SmallKernel().writeTo(directory);

    assertThatThrownBy(() -> new LinuxGuestBuilder("linux", (8 << 20) + 4096, kernel))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("memoryBytes 8392704; a multiple of 2 MiB up to 3 GiB is allowed");
  }
}
