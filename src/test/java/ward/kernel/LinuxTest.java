package ward.kernel;

import static org.assertj.core.api.Assertions.assertThat;

import java.lang.reflect.Field;
import java.lang.reflect.Modifier;
import java.util.Arrays;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;

/** Holds the Java copy of the Linux ABI to what the C compiler says it is. */
class LinuxTest {

  @ParameterizedTest
  @MethodSource("numbers")
  void numbersAgreeWithTheCompiler(Field number) throws Exception {
    assertThat((long) number.getInt(null)).isEqualTo(NativeKernel.constant(number.getName()));
  }

  static Stream<Field> numbers() {
    return Arrays.stream(Linux.class.getFields())
        .filter(field -> Modifier.isStatic(field.getModifiers()));
  }

  @ParameterizedTest
  @CsvSource({"1, 1", "7, 0x40", "64, -0x8000000000000000"})
  void theBitOfASignalIsCountedFromOne(int signal, String bit) {
    assertThat(Linux.signalBit(signal)).isEqualTo(Long.decode(bit));
  }

  @Test
  void theNumbersCompiledAreThoseCompared() {
    assertThat(numbers()).hasSizeGreaterThan(10);
  }
}
