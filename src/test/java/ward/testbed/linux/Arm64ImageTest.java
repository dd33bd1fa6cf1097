package ward.testbed.linux;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class Arm64ImageTest {

  @TempDir Path directory;

  private final SmallImage kernel = new SmallImage();

  @Test
  void theFileItselfSaysWhichMachineItIsFor() throws Exception {
    assertThat(LinuxKernel.read(kernel.writeTo(directory))).isInstanceOf(Arm64Image.class);
    assertThat(LinuxKernel.read(new SmallKernel().writeTo(directory))).isInstanceOf(BzImage.class);
  }

  @Test
  void theWholeFileIsLoadedAndTheHeaderSaysHowMuchMemoryItTakes() throws Exception {
    Arm64Image image = Arm64Image.read(kernel.writeTo(directory));

    assertThat(image.bytes()).isEqualTo(kernel.bytes.array());
    assertThat(image.imageBytes()).isEqualTo(SmallImage.IMAGE_BYTES);
  }

  @Test
  void aFileThatIsNoKernelIsRefused() throws Exception {
    Path text = Files.writeString(directory.resolve("Image"), "x".repeat(4096));

    assertThatThrownBy(() -> Arm64Image.read(text))
        .isInstanceOf(IOException.class)
        .hasMessage(text + " is no Image: it has no \"ARMd\" at 56");
  }

  @Test
  void aFileThatEndsInTheHeaderIsRefused() throws Exception {
    Path file = Files.write(directory.resolve("Image"), new byte[60]);

    assertThatThrownBy(() -> Arm64Image.read(file)).isInstanceOf(IOException.class);
  }

  /** Kernels before Linux 5.8 wanted to be 512 KiB behind a multiple of 2 MiB. */
  @Test
  void aKernelThatWantsToBeElsewhereIsRefused() throws Exception {
    kernel.bytes.putLong(8, 0x8_0000);

    assertThatThrownBy(() -> Arm64Image.read(kernel.writeTo(directory)))
        .isInstanceOf(IOException.class)
        .hasMessageContaining("wants to be 0x80000 behind a multiple of 2 MiB");
  }

  @Test
  void aKernelThatClaimsLessThanItsFileIsRefused() throws Exception {
    kernel.bytes.putLong(16, 0);

    assertThatThrownBy(() -> Arm64Image.read(kernel.writeTo(directory)))
        .isInstanceOf(IOException.class)
        .hasMessageContaining("0x0 bytes long; 0 and at least 0x1000 are known");
  }
}
