package ward.vcpu;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Optional;
import java.util.OptionalLong;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import ward.guest.GuestMemory;
import ward.kernel.Linux;
import ward.poison.Severity;
import ward.vcpu.MemoryErrorDecision.Kind;

class MemoryErrorDecisionTest {

  private static final int VCPU = 3;
  private static final long KNOWN_GPA = SmallMemory.HIGH_GPA + 0x5000;
  private static final int OBJECT_ERROR = 3;

  private final GuestMemory memory = SmallMemory.of();

  /** What the si_code is called in the tables below. */
  private enum Code {
    AR(Linux.BUS_MCEERR_AR),
    AO(Linux.BUS_MCEERR_AO),
    ADRERR(Linux.BUS_ADRERR),
    OBJERR(OBJECT_ERROR),
    ADRALN(1),
    KILL(0),
    TKILL(-6);

    final int value;

    Code(int value) {
      this.value = value;
    }
  }

  /** Where si_addr points; never at the first byte of a page. */
  private enum Place {
    KNOWN(SmallMemory.HIGH_HVA + 0x5678, OptionalLong.of(KNOWN_GPA)),
    NEW(SmallMemory.LOW_HVA + 0x3001, OptionalLong.of(0x3000)),
    OUTSIDE(SmallMemory.HIGH_HVA + SmallMemory.REGION_BYTES, OptionalLong.empty()),
    NOWHERE(0, OptionalLong.empty());

    final long hostAddress;
    final OptionalLong gpa;

    Place(long hostAddress, OptionalLong gpa) {
      this.hostAddress = hostAddress;
      this.gpa = gpa;
    }
  }

  private MemoryErrorDecision decide(Code code, Place place, int lsb) {
    return MemoryErrorDecision.onBusError(
        VCPU, code.value, place.hostAddress, lsb, memory, gpa -> gpa == KNOWN_GPA);
  }

  @ParameterizedTest(name = "{0} at a place that is {1}: {2}")
  @CsvSource({
    "AR,     KNOWN,   REPORT",
    "AR,     NEW,     REPORT",
    "AR,     OUTSIDE, FAIL",
    "AR,     NOWHERE, REPORT",
    "AO,     KNOWN,   REPORT",
    "AO,     NEW,     REPORT",
    "AO,     OUTSIDE, IGNORE",
    "AO,     NOWHERE, REPORT",
    "ADRERR, KNOWN,   REPORT",
    "ADRERR, NEW,     FAIL",
    "ADRERR, OUTSIDE, FAIL",
    "ADRERR, NOWHERE, FAIL",
    "OBJERR, KNOWN,   FAIL",
    "OBJERR, NEW,     FAIL",
    "OBJERR, OUTSIDE, FAIL",
    "OBJERR, NOWHERE, FAIL",
    "ADRALN, KNOWN,   FAIL",
    "ADRALN, NEW,     FAIL",
    "ADRALN, OUTSIDE, FAIL",
    "ADRALN, NOWHERE, FAIL",
    "KILL,   KNOWN,   IGNORE",
    "KILL,   NEW,     IGNORE",
    "KILL,   OUTSIDE, IGNORE",
    "KILL,   NOWHERE, IGNORE",
    "TKILL,  KNOWN,   IGNORE",
    "TKILL,  NEW,     IGNORE",
    "TKILL,  OUTSIDE, IGNORE",
    "TKILL,  NOWHERE, IGNORE",
  })
  void everyCodeAtEveryPlaceHasOneAnswer(Code code, Place place, Kind kind) {
    MemoryErrorDecision decision = decide(code, place, 12);

    assertThat(decision.kind()).isEqualTo(kind);
    assertThat(decision.error().isPresent()).isEqualTo(kind == Kind.REPORT);
    assertThat(decision.reason().isEmpty()).isEqualTo(kind == Kind.REPORT);
    decision
        .error()
        .ifPresent(error -> assertThat(error.guestPhysicalAddress()).isEqualTo(place.gpa));
  }

  @ParameterizedTest
  @CsvSource({
    "AR,     KNOWN, ACTION_REQUIRED, SIGBUS_ACTION_REQUIRED",
    "AO,     KNOWN, ACTION_OPTIONAL, SIGBUS_ACTION_OPTIONAL",
    "ADRERR, KNOWN, ACTION_REQUIRED, SIGBUS_ADDRESS_ERROR",
  })
  void aReportSaysHowTheHostSaidIt(
      Code code, Place place, Severity severity, MemoryError.Input input) {
    MemoryErrorDecision decision = decide(code, place, 21);

    assertThat(decision.error())
        .isEqualTo(Optional.of(new MemoryError(place.gpa, severity, 21, input, VCPU)));
  }

  @Test
  void anExtentBelowAPageIsAPage() {
    MemoryErrorDecision decision = decide(Code.ADRERR, Place.KNOWN, 0);

    assertThat(decision.error().orElseThrow().lsb()).isEqualTo(12);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      textBlock =
          """
          AR     | OUTSIDE | hardware memory error at host address 0x7f0000110000, outside guest memory
          AO     | OUTSIDE | memory error at host address 0x7f0000110000, outside guest memory
          ADRERR | NEW     | SIGBUS with si_code BUS_ADRERR at host address 0x7f0000003001, where the ledger knows no loss: guest memory is not backed there
          OBJERR | KNOWN   | SIGBUS with si_code 3 at host address 0x7f0000105678, which x86-64 KVM does not send
          TKILL  | NOWHERE | SIGBUS with si_code -6 at host address 0x0
          """)
  void whatIsNotReportedSaysWhatCameAndWhere(Code code, Place place, String reason) {
    assertThat(decide(code, place, 12).reason()).isEqualTo(reason);
  }

  @ParameterizedTest
  @CsvSource({"0, 0", "fff, 0", "1008, 1000", "10000ffff, 10000f000"})
  void anMmioExitInRamIsALossOfItsWholePage(String address, String page) {
    MemoryErrorDecision decision =
        MemoryErrorDecision.onMmio(VCPU, Long.parseLong(address, 16), memory);

    assertThat(decision)
        .isEqualTo(
            new MemoryErrorDecision(
                Kind.REPORT,
                Optional.of(
                    new MemoryError(
                        OptionalLong.of(Long.parseLong(page, 16)),
                        Severity.ACTION_REQUIRED,
                        12,
                        MemoryError.Input.MMIO_IN_RAM,
                        VCPU)),
                ""));
  }

  @ParameterizedTest
  @CsvSource({"10000", "fee00000", "ffffffff", "100010000"})
  void anMmioExitOutsideRamIsNoLoss(String address) {
    MemoryErrorDecision decision =
        MemoryErrorDecision.onMmio(VCPU, Long.parseLong(address, 16), memory);

    assertThat(decision)
        .isEqualTo(
            new MemoryErrorDecision(Kind.IGNORE, Optional.empty(), "no RAM at GPA 0x" + address));
  }
}
