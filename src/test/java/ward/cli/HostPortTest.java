package ward.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import picocli.CommandLine.TypeConversionException;

class HostPortTest {

  @ParameterizedTest
  @CsvSource({
    "192.0.2.7:4444, 192.0.2.7, 4444",
    "web-7:0, web-7, 0",
    "[2001:db8::7]:65535, 2001:db8::7, 65535",
  })
  void readsWhatPeopleWrite(String text, String host, int port) {
    assertThat(HostPort.parse(text)).isEqualTo(new HostPort(host, port));
  }

  @ParameterizedTest
  @ValueSource(strings = {"4444", ":4444", "host", "host:", "host:65536", "host:-1", "host:http"})
  void refusesWhatIsNoAddressAndRepeatsIt(String text) {
    assertThatThrownBy(() -> HostPort.parse(text))
        .isInstanceOf(TypeConversionException.class)
        .hasMessageContaining("\"" + text + "\"");
  }

  @Test
  void saysHowAnIpv6AddressIsWritten() {
    assertThatThrownBy(() -> HostPort.parse("2001:db8::7:4444"))
        .hasMessageContaining("[ADDRESS]:PORT");
  }
}
