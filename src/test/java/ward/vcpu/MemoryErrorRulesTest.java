package ward.vcpu;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.OptionalLong;
import java.util.function.Function;
import java.util.stream.Stream;
import jnr.constants.platform.Errno;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;
import ward.kernel.Linux;
import ward.poison.Severity;
import ward.vcpu.MemoryErrorDecision.Kind;
import ward.vcpu.MemoryEvent.ArmNisv;
import ward.vcpu.MemoryEvent.ArmSea;
import ward.vcpu.MemoryEvent.BusError;
import ward.vcpu.MemoryEvent.MemoryFault;
import ward.vcpu.MemoryEvent.Mmio;
import ward.vcpu.MemoryEvent.RunFault;

class MemoryErrorRulesTest {

  private static final int VCPU = 3;
  private static final long GVA = 0xffff80001234567L;

  private static final long LOAD = 0x92000010L;
  private static final long STORE = 0x92000050L;
  private static final long FETCH = 0x82000010L;
  private static final long WALK = 0x92000017L;
  private static final long LOAD_WITHOUT_FAR = 0x92000410L;
  private static final long LOAD_PARITY = 0x92000018L;
  private static final long WALK_PARITY = 0x9200001fL;
  private static final long UNCONTAINABLE = 0x92001010L;
  private static final long TRANSLATION_FAULT = 0x92000007L;
  private static final long HYPERCALL = 0x5a000000L;

  /** Where an event points; never at the first byte of a page. */
  private enum Place {
    /** The ledger knows a lost page here. */
    KNOWN(SmallMemory.HIGH_HVA + 0x5678, SmallMemory.HIGH_GPA + 0x5678),
    /** The ledger knows a lost 2 MiB page here. */
    HUGE(SmallMemory.HIGH_HVA + 0x7abc, SmallMemory.HIGH_GPA + 0x7abc),
    /** RAM, of which the ledger knows nothing. */
    NEW(SmallMemory.LOW_HVA + 0x3001, 0x3001),
    /** Right behind the RAM. */
    OUTSIDE(
        SmallMemory.HIGH_HVA + SmallMemory.REGION_BYTES,
        SmallMemory.HIGH_GPA + SmallMemory.REGION_BYTES),
    /** The host does not say where. */
    NOWHERE(0, -1);

    final long hostAddress;
    final long gpa;

    Place(long hostAddress, long gpa) {
      this.hostAddress = hostAddress;
      this.gpa = gpa;
    }

    OptionalLong page() {
      return this == NOWHERE || this == OUTSIDE
          ? OptionalLong.empty()
          : OptionalLong.of(gpa & -4096);
    }
  }

  /** Every word of a host, as it says it of a place. */
  private enum Word {
    AR(place -> new BusError(Linux.BUS_MCEERR_AR, place.hostAddress, 12)),
    AO(place -> new BusError(Linux.BUS_MCEERR_AO, place.hostAddress, 12)),
    ADRERR(place -> new BusError(Linux.BUS_ADRERR, place.hostAddress, 0)),
    OBJERR(place -> new BusError(Linux.BUS_OBJERR, place.hostAddress, 0)),
    ADRALN(place -> new BusError(1, place.hostAddress, 0)),
    KILL(place -> new BusError(0, place.hostAddress, 0)),
    TKILL(place -> new BusError(-6, place.hostAddress, 0)),
    MMIO_LOAD(place -> new Mmio(place.gpa, false)),
    MMIO_STORE(place -> new Mmio(place.gpa, true)),
    FAULT_EFAULT(place -> fault(Errno.EFAULT, 0, place)),
    FAULT_EHWPOISON(place -> fault(Errno.EHWPOISON, 0, place)),
    FAULT_PRIVATE(place -> fault(Errno.EFAULT, 8, place)),
    SILENT_EFAULT(place -> silent(Errno.EFAULT, place)),
    SILENT_EHWPOISON(place -> silent(Errno.EHWPOISON, place)),
    EMULATION(
        place ->
            new MemoryEvent.EmulationFailure(
                place == Place.NOWHERE ? List.of() : List.of(place.gpa))),
    SEA_LOAD(place -> sea(LOAD, place)),
    SEA_STORE(place -> sea(STORE, place)),
    SEA_FETCH(place -> sea(FETCH, place)),
    SEA_NO_FAR(place -> sea(LOAD_WITHOUT_FAR, place)),
    SEA_PARITY(place -> sea(LOAD_PARITY, place)),
    SEA_WALK(place -> sea(WALK, place)),
    SEA_WALK_PARITY(place -> sea(WALK_PARITY, place)),
    SEA_UNCONTAINABLE(place -> sea(UNCONTAINABLE, place)),
    SEA_TRANSLATION(place -> sea(TRANSLATION_FAULT, place)),
    SEA_HYPERCALL(place -> sea(HYPERCALL, place)),
    NISV_LOAD(place -> new ArmNisv(0x5, place.gpa)),
    NISV_STORE(place -> new ArmNisv(0x45, place.gpa));

    final Function<Place, MemoryEvent> of;

    Word(Function<Place, MemoryEvent> of) {
      this.of = of;
    }

    private static MemoryEvent fault(Errno errno, long flags, Place place) {
      MemoryFault fault = new MemoryFault(flags, place.gpa & -4096, 4096);
      return new RunFault(errno, Optional.of(fault), List.of());
    }

    private static MemoryEvent silent(Errno errno, Place place) {
      List<Long> reach = place == Place.NOWHERE ? List.of() : List.of(0x1000L, place.gpa);
      return new RunFault(errno, Optional.empty(), reach);
    }

    private static MemoryEvent sea(long esr, Place place) {
      return new ArmSea(place == Place.NOWHERE ? 0 : 1, esr, GVA, place.gpa);
    }
  }

  /**
   * One row for each word, one column for each place. R: a required error at that page. U: one
   * without an address. O: an optional one. I, X, F: ignore, refuse, fail. A dot: that cannot be
   * said.
   */
  private static final String TABLE =
      """
                        KNOWN HUGE NEW OUTSIDE NOWHERE
      AR                R     R    R   F       U
      AO                O     O    O   I       O
      ADRERR            R     R    F   F       F
      OBJERR            R     R    R   F       U
      ADRALN            F     F    F   F       F
      KILL              I     I    I   I       I
      TKILL             I     I    I   I       I
      MMIO_LOAD         R     R    R   I       .
      MMIO_STORE        R     R    R   I       .
      FAULT_EFAULT      R     R    F   F       .
      FAULT_EHWPOISON   R     R    R   F       .
      FAULT_PRIVATE     R     R    F   F       .
      SILENT_EFAULT     R     R    F   F       F
      SILENT_EHWPOISON  R     R    U   U       U
      EMULATION         R     R    F   F       F
      SEA_LOAD          R     R    R   F       U
      SEA_STORE         R     R    R   F       U
      SEA_FETCH         R     R    R   F       U
      SEA_NO_FAR        R     R    R   F       U
      SEA_PARITY        R     R    R   F       U
      SEA_WALK          U     U    U   U       U
      SEA_WALK_PARITY   U     U    U   U       U
      SEA_UNCONTAINABLE F     F    F   F       F
      SEA_TRANSLATION   F     F    F   F       F
      SEA_HYPERCALL     F     F    F   F       F
      NISV_LOAD         R     R    F   X       .
      NISV_STORE        R     R    F   X       .
      """;

  private final MemoryErrorRules rules =
      new MemoryErrorRules(VCPU, SmallMemory.of(), MemoryErrorRulesTest::extentAt);

  private static OptionalInt extentAt(long gpa) {
    if (gpa == SmallMemory.HIGH_GPA + 0x5000) {
      return OptionalInt.of(12);
    }
    return gpa == SmallMemory.HIGH_GPA + 0x7000 ? OptionalInt.of(21) : OptionalInt.empty();
  }

  static Stream<Arguments> everyWordAtEveryPlaceHasOneAnswer() {
    List<String> lines = TABLE.lines().toList();
    String[] places = lines.get(0).trim().split(" +");
    return lines.stream().skip(1).map(line -> line.split(" +")).flatMap(row -> cells(places, row));
  }

  private static Stream<Arguments> cells(String[] places, String[] row) {
    Stream.Builder<Arguments> cells = Stream.builder();
    for (int i = 0; i < places.length; i++) {
      Word word = Word.valueOf(row[0]);
      cells.add(Arguments.of(word, Place.valueOf(places[i]), row[i + 1].charAt(0)));
    }
    return cells.build().filter(cell -> !cell.get()[2].equals('.'));
  }

  @Test
  void theTableHasEveryWordAndEveryPlace() {
    List<String> lines = TABLE.lines().toList();

    assertThat(lines.get(0).trim().split(" +"))
        .containsExactly(Stream.of(Place.values()).map(Enum::name).toArray(String[]::new));
    assertThat(lines.stream().skip(1).map(line -> line.split(" +")[0]))
        .containsExactly(Stream.of(Word.values()).map(Enum::name).toArray(String[]::new));
  }

  @ParameterizedTest(name = "{0} at a place that is {1}: {2}")
  @MethodSource
  void everyWordAtEveryPlaceHasOneAnswer(Word word, Place place, char answer) {
    MemoryErrorDecision decision = rules.decide(word.of.apply(place));

    assertThat(decision.kind()).isEqualTo(kindOf(answer));
    assertThat(decision.error().isPresent()).isEqualTo(decision.kind() == Kind.REPORT);
    assertThat(decision.reason().isEmpty()).isEqualTo(decision.kind() == Kind.REPORT);
    decision.error().ifPresent(error -> assertIs(answer, place, error));
  }

  private static Kind kindOf(char answer) {
    return switch (answer) {
      case 'I' -> Kind.IGNORE;
      case 'X' -> Kind.REFUSE;
      case 'F' -> Kind.FAIL;
      default -> Kind.REPORT;
    };
  }

  private static void assertIs(char answer, Place place, MemoryError error) {
    OptionalLong page = answer == 'U' ? OptionalLong.empty() : place.page();
    assertThat(error.guestPhysicalAddress()).isEqualTo(page);
    assertThat(error.lsb()).isEqualTo(place == Place.HUGE && page.isPresent() ? 21 : 12);
    assertThat(error.severity())
        .isEqualTo(answer == 'O' ? Severity.ACTION_OPTIONAL : Severity.ACTION_REQUIRED);
    assertThat(error.vcpu()).isEqualTo(VCPU);
  }

  @ParameterizedTest
  @CsvSource({
    "AR,               SIGBUS_ACTION_REQUIRED, UNKNOWN",
    "AO,               SIGBUS_ACTION_OPTIONAL, UNKNOWN",
    "ADRERR,           SIGBUS_ADDRESS_ERROR,   UNKNOWN",
    "OBJERR,           SIGBUS_OBJECT_ERROR,    UNKNOWN",
    "MMIO_LOAD,        MMIO_IN_RAM,            LOAD",
    "MMIO_STORE,       MMIO_IN_RAM,            STORE",
    "FAULT_EFAULT,     MEMORY_FAULT_EXIT,      UNKNOWN",
    "FAULT_EHWPOISON,  MEMORY_FAULT_EXIT,      UNKNOWN",
    "FAULT_PRIVATE,    MEMORY_FAULT_EXIT,      UNKNOWN",
    "SILENT_EFAULT,    RUN_FAILED,             UNKNOWN",
    "SILENT_EHWPOISON, RUN_FAILED,             UNKNOWN",
    "EMULATION,        EMULATION_FAILED,       UNKNOWN",
    "SEA_LOAD,         ARM_SEA,                LOAD",
    "SEA_STORE,        ARM_SEA,                STORE",
    "SEA_FETCH,        ARM_SEA,                FETCH",
    "SEA_WALK,         ARM_SEA,                LOAD",
    "NISV_LOAD,        ARM_NISV,               LOAD",
    "NISV_STORE,       ARM_NISV,               STORE",
  })
  void aReportSaysHowTheHostSaidItAndWhatTheGuestDid(
      Word word, MemoryError.Input input, GuestAccess.Kind access) {
    MemoryErrorDecision decision = rules.decide(word.of.apply(Place.KNOWN));

    MemoryError error = decision.error().orElseThrow();
    assertThat(error.input()).isEqualTo(input);
    assertThat(error.access().kind()).isEqualTo(access);
  }

  @ParameterizedTest
  @EnumSource(names = {"SEA_LOAD", "SEA_STORE", "SEA_FETCH", "SEA_PARITY", "SEA_WALK"})
  void anAbortTellsTheGuestsVirtualAddress(Word word) {
    MemoryErrorDecision decision = rules.decide(word.of.apply(Place.NEW));

    assertThat(decision.error().orElseThrow().access().guestVirtualAddress()).hasValue(GVA);
  }

  @Test
  void anAbortWhoseFarIsNotValidTellsNoVirtualAddress() {
    MemoryErrorDecision decision = rules.decide(Word.SEA_NO_FAR.of.apply(Place.NEW));

    assertThat(decision.error().orElseThrow().access().guestVirtualAddress()).isEmpty();
  }

  @ParameterizedTest
  @CsvSource({"0, 12", "11, 12", "12, 12", "21, 21", "30, 30"})
  void aSignalsExtentCountsFromAPageUpwards(int said, int lsb) {
    BusError event = new BusError(Linux.BUS_MCEERR_AR, Place.NEW.hostAddress, said);

    assertThat(rules.decide(event).error().orElseThrow().lsb()).isEqualTo(lsb);
  }

  @ParameterizedTest
  @CsvSource({
    "1000, 1000,     12",
    "1000, 800,      12",
    "1000, 3000,     12",
    "1000, 0,        12",
    "1000, 200000,   12",
    "0,    200000,   21",
    "0,    80000000, 12",
  })
  void aFaultsSizeCountsOnlyIfItCanBeALostExtent(String gpa, String size, int lsb) {
    MemoryFault fault = new MemoryFault(0, Long.parseLong(gpa, 16), Long.parseLong(size, 16));
    RunFault event = new RunFault(Errno.EHWPOISON, Optional.of(fault), List.of());

    assertThat(rules.decide(event).error().orElseThrow().lsb()).isEqualTo(lsb);
  }

  @Test
  void theOneKnownLossInTheInstructionsReachIsIt() {
    RunFault event = silentFault(0x1000L, Place.HUGE.gpa, Place.OUTSIDE.gpa);

    assertThat(rules.decide(event).error().orElseThrow().guestPhysicalAddress())
        .isEqualTo(Place.HUGE.page());
  }

  @Test
  void ofSeveralKnownLossesInReachNoneIsNamed() {
    RunFault event = silentFault(Place.HUGE.gpa, Place.KNOWN.gpa);

    assertThat(rules.decide(event).error().orElseThrow().guestPhysicalAddress()).isEmpty();
  }

  private static RunFault silentFault(Long... reach) {
    return new RunFault(Errno.EFAULT, Optional.empty(), List.of(reach));
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      textBlock =
          """
          AR               | OUTSIDE | hardware memory error at host address 0x7f0000110000, outside guest memory
          OBJERR           | OUTSIDE | hardware memory error at host address 0x7f0000110000, outside guest memory
          AO               | OUTSIDE | memory error at host address 0x7f0000110000, outside guest memory
          ADRERR           | NEW     | SIGBUS with si_code BUS_ADRERR at host address 0x7f0000003001, where the ledger knows no loss: guest memory is not backed there
          ADRALN           | KNOWN   | SIGBUS with si_code 1 at host address 0x7f0000105678, which KVM does not send
          TKILL            | NOWHERE | SIGBUS with si_code -6 at host address 0x0
          MMIO_LOAD        | OUTSIDE | no RAM at GPA 0x100010000
          FAULT_EFAULT     | NEW     | KVM_EXIT_MEMORY_FAULT with EFAULT at GPA 0x3000 (shared), where the ledger knows no loss: guest memory is not backed there
          FAULT_PRIVATE    | NEW     | KVM_EXIT_MEMORY_FAULT with EFAULT at GPA 0x3000 (private), where the ledger knows no loss: guest memory is not backed there
          FAULT_EHWPOISON  | OUTSIDE | KVM_EXIT_MEMORY_FAULT with EHWPOISON at GPA 0x100010000 (shared), outside guest memory
          SILENT_EFAULT    | NEW     | KVM_RUN failed with EFAULT and says not where, and nothing that is known to be lost is in the instruction's reach: guest memory is not backed
          SEA_LOAD         | OUTSIDE | KVM_EXIT_ARM_SEA at GPA 0x100010000, outside guest memory
          SEA_UNCONTAINABLE| NEW     | KVM_EXIT_ARM_SEA with esr 0x92001010: uncontainable, wrong data may already have spread
          SEA_HYPERCALL    | NEW     | KVM_EXIT_ARM_SEA with esr 0x5a000000: no external abort
          NISV_LOAD        | NEW     | KVM_EXIT_ARM_NISV with syndrome 0x5 at GPA 0x3001, where the ledger knows no loss: guest memory is not mapped there
          NISV_LOAD        | OUTSIDE | KVM_EXIT_ARM_NISV with syndrome 0x5 at GPA 0x100010000, where nothing is attached
          """)
  void whatIsNotReportedSaysWhatCameAndWhere(Word word, Place place, String reason) {
    assertThat(rules.decide(word.of.apply(place)).reason()).isEqualTo(reason);
  }
}
