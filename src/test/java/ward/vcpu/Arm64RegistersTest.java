package ward.vcpu;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.util.Arrays;
import org.junit.jupiter.api.Test;

class Arm64RegistersTest {

  /** A vector register of 128 bits, and a control register of 32. */
  private static final long V0 = 0x6040_0000_0010_0054L;

  private static final long FPSR = 0x6020_0000_0010_00d4L;

  private static byte[] bytes(int length) {
    byte[] bytes = new byte[length];
    Arrays.fill(bytes, (byte) 0xa5);
    return bytes;
  }

  @Test
  void registersOfEveryWidthComeBackInTheirOrder() throws IOException {
    byte[] section =
        new Arm64Registers()
            .put(Arm64Registers.PC, 0x1122334455667788L)
            .put(V0, bytes(16))
            .put(FPSR, bytes(4))
            .put(Arm64Registers.x(3), 7)
            .toBytes();

    Arm64Registers read = Arm64Registers.of(section);

    assertThat(section).hasSize(16 + 24 + 16 + 16);
    assertThat(read.values().keySet())
        .containsExactly(Arm64Registers.PC, V0, FPSR, Arm64Registers.x(3));
    assertThat(read.values().get(V0)).isEqualTo(bytes(16));
    assertThat(read.values().get(FPSR)).isEqualTo(bytes(4));
    assertThat(read.toBytes()).isEqualTo(section);
  }

  @Test
  void aRegisterWithoutItsWholeValueIsRefused() {
    byte[] section = new Arm64Registers().put(V0, bytes(16)).toBytes();

    assertThatThrownBy(() -> Arm64Registers.of(Arrays.copyOf(section, 16)))
        .isInstanceOf(IOException.class)
        .hasMessage(
            "section kvm_one_reg: register 0x6040000000100054 is followed by 8 bytes, which is no"
                + " value of it");
  }

  @Test
  void aRegisterThatComesTwiceIsRefused() {
    byte[] one = new Arm64Registers().put(Arm64Registers.PC, 1).toBytes();
    byte[] two = Arrays.copyOf(one, 2 * one.length);
    System.arraycopy(one, 0, two, one.length, one.length);

    assertThatThrownBy(() -> Arm64Registers.of(two)).hasMessageContaining("twice");
  }

  @Test
  void aValueOfAnotherWidthIsOurFault() {
    assertThatThrownBy(() -> new Arm64Registers().put(FPSR, 1))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("register 0x60200000001000d4 has 4 bytes, not 8");
  }
}
