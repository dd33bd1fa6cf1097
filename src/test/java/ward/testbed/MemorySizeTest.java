package ward.testbed;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import picocli.CommandLine.TypeConversionException;

class MemorySizeTest {

  @ParameterizedTest
  @CsvSource({
    "0, 0",
    "4096, 4096",
    "16K, 16384",
    "256M, 268435456",
    "4G, 4294967296",
    "999999999999, 999999999999",
  })
  void aSizeIsANumberAndAUnitOf1024(String text, long bytes) {
    assertThat(MemorySize.parse(text)).isEqualTo(new MemorySize(bytes));
  }

  @ParameterizedTest
  @ValueSource(strings = {"", "G", "-1G", "1.5G", "1g", "1GB", "1 G", "1T", "1000000000000"})
  void whatIsNoSizeIsRefusedWithAnExample(String text) {
    assertThatThrownBy(() -> MemorySize.parse(text))
        .isInstanceOf(TypeConversionException.class)
        .hasMessage("\"" + text + "\" is not a size; write it as 256M or 4G");
  }

  @ParameterizedTest
  @ValueSource(strings = {"99999999999G", "8589934592G"})
  void aSizeThatNoLongHoldsIsRefused(String text) {
    assertThatThrownBy(() -> MemorySize.parse(text))
        .isInstanceOf(TypeConversionException.class)
        .hasMessage("\"" + text + "\" is more than 2^63-1 bytes; write a smaller size");
  }
}
