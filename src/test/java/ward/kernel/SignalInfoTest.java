package ward.kernel;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class SignalInfoTest {

  @ParameterizedTest
  @CsvSource({
    "sizeof ward_signal, " + SignalInfo.SIZE_BYTES,
    "ward_signal.code, " + SignalInfo.CODE,
    "ward_signal.address, " + SignalInfo.ADDRESS,
    "ward_signal.address_lsb, " + SignalInfo.ADDRESS_LSB,
  })
  void fieldsSitWhereTheCompilerPutsThem(String name, long offset) {
    assertThat(offset).isEqualTo(NativeKernel.constant(name));
  }
}
