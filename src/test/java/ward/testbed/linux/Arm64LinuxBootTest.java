package ward.testbed.linux;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import ward.memory.GuestLayout;
import ward.memory.GuestRegion;
import ward.vcpu.Arm64Registers;
import ward.vcpu.GhesLayout;
import ward.vcpu.GhesSource;
import ward.vcpu.SerialPort;

class Arm64LinuxBootTest {

  private static final long RAM = 0x4000_0000L;
  private static final byte[] FILES = new byte[5000];

  @TempDir Path directory;

  private Arm64Image kernel;
  private GuestRegion ram;

  @BeforeEach
  void readKernel() throws IOException {
    kernel = Arm64Image.read(new SmallImage().writeTo(directory));
    ram = kernel.ram(16 << 20);
  }

  private LinuxBoot boot(boolean polled) {
    return kernel.boot(ram, FILES, "console=ttyS0", polled);
  }

  private static byte[] pieceAt(LinuxBoot boot, long address) {
    return boot.pieces().stream()
        .filter(piece -> piece.address() == address)
        .findFirst()
        .orElseThrow()
        .bytes();
  }

  /** By number and value, each 8 bytes, as the section has them. */
  private static long register(LinuxBoot boot, long id) {
    ByteBuffer registers =
        ByteBuffer.wrap(boot.vcpu().get(Arm64Registers.SECTION)).order(ByteOrder.LITTLE_ENDIAN);
    while (registers.getLong() != id) {
      registers.getLong();
    }
    return registers.getLong();
  }

  @Test
  void ramIsWhereTheTablesSayThatNothingElseIs() {
    assertThat(ram).isEqualTo(new GuestRegion(RAM, 16 << 20, 0));
  }

  /** Documentation/arch/arm64/booting.rst: at a multiple of 2 MiB, entered at its first byte. */
  @Test
  void theVcpuStandsAtTheKernelWithTheDeviceTreeInX0AndEverythingMasked() {
    LinuxBoot boot = boot(true);

    long entry = register(boot, Arm64Registers.PC);
    assertThat(entry % (2 << 20)).isZero();
    assertThat(pieceAt(boot, entry)).isEqualTo(kernel.bytes());
    ByteBuffer tree = ByteBuffer.wrap(pieceAt(boot, register(boot, Arm64Registers.x(0))));
    assertThat(tree.getInt()).as("magic of a device tree").isEqualTo(0xd00dfeed);
    assertThat(register(boot, Arm64Registers.PSTATE)).isEqualTo(0x3c5);
  }

  @Test
  void theInitialFilesAreBehindAllThatTheKernelClaims() {
    LinuxBoot boot = boot(true);

    Piece files =
        boot.pieces().stream().filter(piece -> piece.bytes() == FILES).findFirst().orElseThrow();
    assertThat(files.address())
        .isEqualTo(register(boot, Arm64Registers.PC) + SmallImage.IMAGE_BYTES);
  }

  @Test
  void theCommandLineTellsTheKernelThatThereAreNoRuntimeServices() {
    LinuxBoot boot = boot(true);

    byte[] tree = pieceAt(boot, register(boot, Arm64Registers.x(0)));
    assertThat(new String(tree, StandardCharsets.ISO_8859_1))
        .contains("console=ttyS0 efi=noruntime\0");
  }

  @Test
  void theGuestHasASerialPortAndItsErrorSourcesTravelWithIt() throws Exception {
    Map<String, byte[]> machine = boot(true).machine();

    assertThat(machine).containsKey(SerialPort.SECTION);
    assertThat(sources(machine))
        .containsExactly(
            GhesSource.Notification.SYNCHRONOUS_EXTERNAL_ABORT, GhesSource.Notification.POLLED);
  }

  @Test
  void aGuestThatDoesNotPollHasASourceForItsAbortsAlone() throws Exception {
    assertThat(sources(boot(false).machine()))
        .containsExactly(GhesSource.Notification.SYNCHRONOUS_EXTERNAL_ABORT);
  }

  private List<GhesSource.Notification> sources(Map<String, byte[]> machine) throws IOException {
    GhesLayout layout =
        GhesLayout.parse(machine.get(GhesLayout.SECTION), new GuestLayout("linux", List.of(ram)));
    return layout.sources().stream().map(GhesSource::notification).toList();
  }

  @Test
  void aGuestTooSmallForItsKernelIsRefused() throws Exception {
    Path image = new SmallImage().writeTo(directory);

    assertThatThrownBy(() -> new LinuxGuestBuilder("linux", 4 << 20, image))
        .isInstanceOf(IOException.class)
        .hasMessageEndingWith("MiB to begin with; the guest has 4 MiB");
  }
}
