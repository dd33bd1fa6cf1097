package ward.vcpu;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import ward.vcpu.Arm64ExceptionEntry.Abort;
import ward.vcpu.Arm64ExceptionEntry.Before;

class Arm64ExceptionEntryTest {

  private static final long VBAR = 0x40000800L;
  private static final long SPAN = 1 << 23;

  /** EL1 on its own stack, EL1 on EL0's, EL0, EL0 of 32 bits. */
  @ParameterizedTest
  @CsvSource({
    "INSTRUCTION, 5, 200, 86000010",
    "INSTRUCTION, 4, 0, 86000010",
    "INSTRUCTION, 0, 400, 82000010",
    "INSTRUCTION, 10, 600, 82000010",
    "DATA, 5, 200, 96000010",
    "DATA, 0, 400, 92000010",
    "DATA, 1f, 600, 92000010"
  })
  void theVectorAndTheClassSayWhereTheAbortCameFrom(
      Abort abort, String pstate, String offset, String esr) {
    Arm64ExceptionEntry entry =
        Arm64ExceptionEntry.of(
            abort, true, new Before(Long.parseLong(pstate, 16), VBAR, SPAN, true));

    assertThat(entry)
        .isEqualTo(
            new Arm64ExceptionEntry(
                VBAR + Long.parseLong(offset, 16), 0x3c5, Long.parseLong(esr, 16)));
  }

  @Test
  void anUnknownAddressIsSaidToBeOne() {
    Arm64ExceptionEntry entry =
        Arm64ExceptionEntry.of(Abort.DATA, false, new Before(0, VBAR, SPAN, true));

    assertThat(entry.esr()).isEqualTo(0x92000410L);
  }

  @ParameterizedTest
  @CsvSource({
    "60000005, 0, false, 600003c5",
    "00000005, 0, true, 004003c5",
    "00000005, 800000, true, 3c5",
    "00400005, 800000, true, 004003c5",
    "01200c05, 800000, true, 010003c5",
    "00001005, 800000, true, 3c5",
    "00000005, 100000800000, true, 13c5"
  })
  void theGuestStandsAtItsVectorAsAProcessorWouldLeaveIt(
      String pstate, String sctlr, boolean hasPan, String expected) {
    Arm64ExceptionEntry entry =
        Arm64ExceptionEntry.of(
            Abort.DATA,
            true,
            new Before(Long.parseLong(pstate, 16), VBAR, Long.parseLong(sctlr, 16), hasPan));

    assertThat(Long.toHexString(entry.pstate()))
        .isEqualTo(Long.toHexString(Long.parseLong(expected, 16)));
  }
}
