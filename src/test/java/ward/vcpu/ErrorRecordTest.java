package ward.vcpu;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.Arrays;
import java.util.Collections;
import java.util.HexFormat;
import java.util.List;
import java.util.OptionalLong;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import ward.poison.Severity;

/** Against bytes put together by hand from ACPI 6.5, 18.3.2.7, and UEFI 2.10, appendix N. */
class ErrorRecordTest {

  /** Table 18.11 of ACPI 6.5, generic error status block: one uncorrectable error. */
  private static final String ONE_ERROR =
      """
      11 00 00 00
      00 00 00 00
      00 00 00 00
      98 00 00 00
      00 00 00 00
      """;

  /** Table 18.12, generic error data entry, with the GUID of UEFI 2.10, N.2.2. */
  private static final String ENTRY_OF_80_BYTES =
      """
      14 11 bc a5 64 6f de 4e b8 63 3e 83 ed 7c 83 b1
      00 00 00 00
      00 03
      00
      FLAGS
      50 00 00 00
      00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
      00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
      00 00 00 00 00 00 00 00
      """;

  private static final String PRIMARY = "01";
  private static final String PRIMARY_LATENT = "21";

  /** The fields of table N.31 after the address mask: from the node on, the type last but few. */
  private static final String NOTHING_MORE_KNOWN = "00 ".repeat(48);

  private static String entry(String flags) {
    return ENTRY_OF_80_BYTES.replace("FLAGS", flags);
  }

  private static byte[] bytes(String... parts) {
    return HexFormat.of().parseHex(String.join("", parts).replaceAll("\\s", ""));
  }

  private static MemoryError error(OptionalLong gpa, Severity severity, int lsb) {
    return new MemoryError(gpa, severity, lsb, MemoryError.Input.SIGBUS_ACTION_REQUIRED, 0);
  }

  private static MemoryError required(long gpa) {
    return error(OptionalLong.of(gpa), Severity.ACTION_REQUIRED, 12);
  }

  @Test
  void aConsumedPageIsARecoverableErrorAtItsAddress() {
    byte[] record = new ErrorRecord(List.of(required(0x0000_0012_3456_7000L))).toBytes();

    assertThat(record)
        .containsExactly(
            bytes(
                ONE_ERROR,
                entry(PRIMARY),
                "06 40 00 00 00 00 00 00",
                "00 00 00 00 00 00 00 00",
                "00 70 56 34 12 00 00 00",
                "00 f0 ff ff ff ff ff ff",
                NOTHING_MORE_KNOWN));
  }

  @Test
  void aPageThatNothingHasConsumedIsALatentError() {
    MemoryError found = error(OptionalLong.of(0x4000_1000L), Severity.ACTION_OPTIONAL, 12);

    byte[] record = new ErrorRecord(List.of(found)).toBytes();

    assertThat(record)
        .containsExactly(
            bytes(
                ONE_ERROR,
                entry(PRIMARY_LATENT),
                "06 40 00 00 00 00 00 00",
                "00 00 00 00 00 00 00 00",
                "00 10 00 40 00 00 00 00",
                "00 f0 ff ff ff ff ff ff",
                NOTHING_MORE_KNOWN));
  }

  @Test
  void aHugePageHasTheMaskOfItsExtent() {
    MemoryError huge = error(OptionalLong.of(0x4020_0000L), Severity.ACTION_REQUIRED, 21);

    byte[] record = new ErrorRecord(List.of(huge)).toBytes();

    assertThat(Arrays.copyOfRange(record, 92, 124))
        .containsExactly(
            bytes(
                "06 40 00 00 00 00 00 00",
                "00 00 00 00 00 00 00 00",
                "00 00 20 40 00 00 00 00",
                "00 00 e0 ff ff ff ff ff"));
  }

  @Test
  void anUnknownAddressIsNotValidAndNotThere() {
    MemoryError unknown = error(OptionalLong.empty(), Severity.ACTION_REQUIRED, 12);

    byte[] record = new ErrorRecord(List.of(unknown)).toBytes();

    assertThat(record)
        .containsExactly(
            bytes(ONE_ERROR, entry(PRIMARY), "00 40 00 00 00 00 00 00", "00 ".repeat(72)));
  }

  @Test
  void severalErrorsAreCountedAndFollowEachOther() {
    MemoryError first = error(OptionalLong.of(0x1000), Severity.ACTION_OPTIONAL, 12);
    MemoryError second = error(OptionalLong.of(0x2000), Severity.ACTION_OPTIONAL, 12);

    byte[] record = new ErrorRecord(List.of(first, second)).toBytes();

    assertThat(Arrays.copyOf(record, 20))
        .containsExactly(
            bytes("21 00 00 00", "00 00 00 00", "00 00 00 00", "30 01 00 00", "00 00 00 00"));
    assertThat(Arrays.copyOfRange(record, 20, 172))
        .containsExactly(Arrays.copyOfRange(new ErrorRecord(List.of(first)).toBytes(), 20, 172));
    assertThat(Arrays.copyOfRange(record, 172, 324))
        .containsExactly(Arrays.copyOfRange(new ErrorRecord(List.of(second)).toBytes(), 20, 172));
  }

  @ParameterizedTest(name = "{0} bytes: {1}")
  @CsvSource({"171,0", "172,1", "323,1", "324,2", "1024,6", "65536,431"})
  void aBlockTakesAsManyErrorsAsFitWhole(int blockBytes, int errors) {
    assertThat(ErrorRecord.capacity(blockBytes)).isEqualTo(errors);
  }

  @Test
  void aFullBlockIsFilledToItsLastWholeEntry() {
    int capacity = ErrorRecord.capacity(1024);

    byte[] record = new ErrorRecord(Collections.nCopies(capacity, required(0x1000))).toBytes();

    assertThat(record).hasSizeLessThanOrEqualTo(1024).hasSizeGreaterThan(1024 - 152);
  }

  @Test
  void aRecordOfNothingIsRefused() {
    assertThatThrownBy(() -> new ErrorRecord(List.of()))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("a record of 0 errors; 1 to 1023 are allowed");
  }
}
