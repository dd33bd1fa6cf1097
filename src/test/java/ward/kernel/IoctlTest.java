package ward.kernel;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

class IoctlTest {

  @ParameterizedTest
  @MethodSource("oneOfEachDirection")
  void assemblesTheNumberAsTheHeaderDoes(Ioctl ioctl) {
    assertThat(ioctl.number()).isEqualTo((int) NativeKernel.constant(ioctl.name()));
  }

  static Stream<Ioctl> oneOfEachDirection() {
    return Stream.of(
        Ioctl.plain("KVM_RUN", 0xAE, 0x80),
        Ioctl.write("KVM_SET_USER_MEMORY_REGION", 0xAE, 0x46, 32),
        Ioctl.read("UFFDIO_WAKE", 0xAA, 0x02, 16),
        Ioctl.readWrite("UFFDIO_COPY", 0xAA, 0x03, 40));
  }

  @Test
  void aStructOfAnotherSizeIsAnotherRequest() {
    Ioctl tooSmall = Ioctl.readWrite("UFFDIO_COPY", 0xAA, 0x03, 32);

    assertThat(tooSmall.number()).isNotEqualTo((int) NativeKernel.constant("UFFDIO_COPY"));
  }

  @Test
  void appearsInMessagesByItsName() {
    assertThat(Ioctl.plain("KVM_RUN", 0xAE, 0x80)).hasToString("KVM_RUN");
  }
}
