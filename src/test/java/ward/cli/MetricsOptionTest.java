package ward.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class MetricsOptionTest {

  private static MetricsOption at(String address) {
    MetricsOption option = new MetricsOption();
    option.address = HostPort.parse(address);
    return option;
  }

  @ParameterizedTest
  @ValueSource(strings = {"0.0.0.0:9100", "192.0.2.1:9100", "[::]:9100", "[2001:db8::7]:9100"})
  void anAddressThatOthersCouldReachIsRefusedAsUsage(String address) {
    assertThatThrownBy(() -> at(address).requireLoopback())
        .isInstanceOfSatisfying(
            CommandFailure.class,
            refused -> assertThat(refused.exitCode()).isEqualTo(ExitCode.USAGE))
        .hasMessageContaining("not a loopback address")
        .hasMessageContaining("127.0.0.1:PORT");
  }

  @ParameterizedTest
  @ValueSource(strings = {"127.0.0.1:9100", "[::1]:0", "127.3.2.1:1"})
  void thisHostsLoopbackIsTaken(String address) {
    MetricsOption option = at(address);

    option.requireLoopback();

    assertThat(option.address.port()).isNotNegative();
  }
}
