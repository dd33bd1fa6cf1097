package ward.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatCode;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import picocli.CommandLine.TypeConversionException;

class StagingSizeTest {

  @ParameterizedTest
  @CsvSource({"2M, 2097152", "2097153, 2097153", "32m, 33554432", "1T, 1099511627776"})
  void aSizeIsBytes(String text, long bytes) {
    assertThat(StagingSize.parse(text)).isEqualTo(new StagingSize(bytes));
  }

  @ParameterizedTest
  @ValueSource(strings = {"", "M", "0", "2097151", "1M", "-2M", "2T", "2MB", "none"})
  void anythingElseIsRefusedWithWhatIsAllowed(String text) {
    assertThatThrownBy(() -> StagingSize.parse(text))
        .isInstanceOf(TypeConversionException.class)
        .hasMessageContaining("\"%s\" is no size; bytes from 2M to 1T are allowed".formatted(text));
  }

  @Test
  void eachStreamNeedsAHugePage() {
    StagingSize size = StagingSize.parse("7M");

    assertThatCode(() -> size.requireEnoughFor(3)).doesNotThrowAnyException();
    assertThatThrownBy(() -> size.requireEnoughFor(4))
        .isInstanceOf(CommandFailure.class)
        .hasMessage(
            "--staging: 7340032 bytes for 4 stream connections; each needs 2 MiB, so 8M or more are allowed, or fewer --streams");
  }
}
