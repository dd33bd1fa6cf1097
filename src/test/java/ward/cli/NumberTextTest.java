package ward.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class NumberTextTest {

  @Test
  void readsHexadecimalAndDecimal() {
    assertThat(NumberText.parse("0x1F000")).isEqualTo(0x1f000);
    assertThat(NumberText.parse("4096")).isEqualTo(4096);
    assertThat(NumberText.parse("0x7fffffffffffffff")).isEqualTo(Long.MAX_VALUE);
  }

  @Test
  void takesALeadingZeroForDecimal() {
    assertThat(NumberText.parse("010")).isEqualTo(10);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {"", "0x", "-1", "-0", "+1", "0x-1", "0x+1", "1.5", "#10", "0x8000000000000000"})
  void refusesWhatIsNoNumberFromZeroUp(String text) {
    assertThatThrownBy(() -> NumberText.parse(text)).isInstanceOf(NumberFormatException.class);
  }
}
