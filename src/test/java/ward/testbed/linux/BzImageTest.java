package ward.testbed.linux;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class BzImageTest {

  @TempDir Path directory;

  private final SmallKernel kernel = new SmallKernel();

  private static BzImage read(Path path) throws IOException {
    return BzImage.of(path, Files.readAllBytes(path));
  }

  @Test
  void theHeaderSaysWhatIsLoadedAndWhere() throws Exception {
    BzImage image = read(kernel.writeTo(directory));

    assertThat(image.compressedKernel()).isEqualTo(SmallKernel.COMPRESSED);
    assertThat(image.preferredAddress()).isEqualTo(SmallKernel.PREFERRED_ADDRESS);
    assertThat(image.bytesToBeginWith())
        .isEqualTo(SmallKernel.PREFERRED_ADDRESS + SmallKernel.INIT_BYTES);
    assertThat(image.entry()).isEqualTo(SmallKernel.PREFERRED_ADDRESS + 0x200);
    assertThat(image.header()).hasSize(SmallKernel.HEADER_BYTES);
  }

  @Test
  void noSetupSectorsStandForFour() throws Exception {
    kernel.bytes.put(0x1f1, (byte) 0);

    assertThatThrownBy(() -> read(kernel.writeTo(directory)))
        .isInstanceOf(IOException.class)
        .hasMessageEndingWith("ends after 1045 bytes, in its setup part");
  }

  @Test
  void aFileThatIsNoKernelIsRefused() throws Exception {
    Path text = Files.writeString(directory.resolve("vmlinuz"), "x".repeat(4096));

    assertThatThrownBy(() -> read(text))
        .isInstanceOf(IOException.class)
        .hasMessage(text + " is no bzImage: it has no \"HdrS\" at 0x202");
  }

  @Test
  void aKernelFor32BitsIsRefused() throws Exception {
    kernel.bytes.putShort(0x236, (short) 0);

    assertThatThrownBy(() -> read(kernel.writeTo(directory)))
        .isInstanceOf(IOException.class)
        .hasMessageContaining("has no 64-bit entry point (boot protocol 2.15)");
  }
}
