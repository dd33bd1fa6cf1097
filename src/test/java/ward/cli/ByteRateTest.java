package ward.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import picocli.CommandLine.TypeConversionException;

class ByteRateTest {

  @ParameterizedTest
  @CsvSource({
    "4096, 4096",
    "4K, 4096",
    "100M, 104857600",
    "100m, 104857600",
    "2G, 2147483648",
    "1T, 1099511627776",
    "0x10000, 65536",
    "none, 0"
  })
  void aRateIsBytesASecond(String text, long bytes) {
    assertThat(ByteRate.parse(text)).isEqualTo(new ByteRate(bytes));
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "",
        "M",
        "0",
        "4095",
        "3K",
        "1.5M",
        "-1M",
        "2T",
        "9999999999999999T",
        "10MB",
        "NONE?"
      })
  void anythingElseIsRefusedWithWhatIsAllowed(String text) {
    assertThatThrownBy(() -> ByteRate.parse(text))
        .isInstanceOf(TypeConversionException.class)
        .hasMessage(
            "\"%s\" is no rate; bytes a second from 4K to 1T (K, M, G and T are 2^10, 2^20, 2^30 and 2^40), or none"
                .formatted(text));
  }

  @Test
  void zeroIsNoWordForNoLimit() {
    assertThatThrownBy(() -> ByteRate.parse("0K")).isInstanceOf(TypeConversionException.class);
  }
}
