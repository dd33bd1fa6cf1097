package ward.vcpu;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.HexFormat;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class X86StoreTest {

  private static final long CODE = 0x400000;
  private static final long DATA = 0x500000;
  private static final long DATA_GPA = 0x20000;
  private static final long AFTER = CODE + 0x100;
  private static final long DIRECTION = 1 << 10;
  private static final int RCX = 1;
  private static final int RBX = 3;
  private static final int RSI = 6;
  private static final int RDI = 7;

  private final X86Fixture fixture = new X86Fixture();

  private Optional<KvmRegs> before(long ripAfter, long gpa, int sizeBytes) {
    fixture.map(CODE, 0x10000);
    fixture.map(DATA, DATA_GPA);
    fixture.map(DATA - 0x1000, DATA_GPA - 0x1000);
    fixture.general.rip(ripAfter);
    MemoryEvent.Mmio access = new MemoryEvent.Mmio(gpa, true);
    return new X86Store(fixture.general, fixture.special, fixture, access, sizeBytes).before();
  }

  /** Writes code that ends where the guest stands. */
  private void codeBefore(String code) {
    byte[] bytes = HexFormat.of().parseHex(code);
    fixture.write(0x10100 - bytes.length, bytes);
  }

  @ParameterizedTest
  @CsvSource({
    "4889 03,   8",
    "8903,      4",
    "668903,    2",
    "8803,      1",
    "48c70300000000, 8",
  })
  void aStoreIsFoundByItsPlaceAndItsSize(String code, int sizeBytes) {
    String compact = code.replace(" ", "");
    codeBefore(compact);
    fixture.general.general(RBX, DATA + 0x128);

    Optional<KvmRegs> before = before(AFTER, DATA_GPA + 0x128, sizeBytes);

    assertThat(before.orElseThrow().rip()).isEqualTo(AFTER - compact.length() / 2);
  }

  /** The rest of an access whose beginning was in a healthy page. */
  @Test
  void aStoreThatBeginsInThePageBeforeIsFoundByItsEnd() {
    codeBefore("488903");
    fixture.general.general(RBX, DATA - 3);

    Optional<KvmRegs> before = before(AFTER, DATA_GPA, 5);

    assertThat(before.orElseThrow().rip()).isEqualTo(AFTER - 3);
  }

  @Test
  void aCopyThatGoesOnHasMadeOneStepTooMany() {
    fixture.write(0x10100, HexFormat.of().parseHex("f3a4"));
    fixture.general.general(RCX, 15);
    fixture.general.general(RSI, 0x7011);
    fixture.general.general(RDI, DATA + 1);

    KvmRegs before = before(AFTER, DATA_GPA, 1).orElseThrow();

    assertThat(before.rip()).isEqualTo(AFTER);
    assertThat(before.general(RCX)).isEqualTo(16);
    assertThat(before.general(RSI)).isEqualTo(0x7010);
    assertThat(before.general(RDI)).isEqualTo(DATA);
  }

  @Test
  void aRepeatedStoreWhoseLastStepItWasHasNotEnded() {
    codeBefore("f348ab");
    fixture.general.general(RSI, 0x7000);
    fixture.general.general(RDI, DATA + 16);

    KvmRegs before = before(AFTER, DATA_GPA + 8, 8).orElseThrow();

    assertThat(before.rip()).isEqualTo(AFTER - 3);
    assertThat(before.general(RCX)).isEqualTo(1);
    assertThat(before.general(RSI)).isEqualTo(0x7000);
    assertThat(before.general(RDI)).isEqualTo(DATA + 8);
  }

  @Test
  void aCopyDownwardsSteppedDownwards() {
    codeBefore("a4");
    fixture.general.rflags(DIRECTION);
    fixture.general.general(RSI, 0x6fff);
    fixture.general.general(RDI, DATA + 7);

    KvmRegs before = before(AFTER, DATA_GPA + 8, 1).orElseThrow();

    assertThat(before.general(RSI)).isEqualTo(0x7000);
    assertThat(before.general(RDI)).isEqualTo(DATA + 8);
    assertThat(before.general(RCX)).isZero();
  }

  @ParameterizedTest
  @CsvSource({"488b03", "9090", "488943 08"})
  void whatStoresElsewhereOrNotAtAllIsNotIt(String code) {
    codeBefore(code.replace(" ", ""));
    fixture.general.general(RBX, DATA + 0x200);

    assertThat(before(AFTER, DATA_GPA + 0x128, 8)).isEmpty();
  }

  @Test
  void codeThatCannotBeReadHoldsNoInstruction() {
    codeBefore("488903");
    fixture.general.general(RBX, DATA + 0x128);
    fixture.lose(0x10000);

    assertThat(before(AFTER, DATA_GPA + 0x128, 8)).isEmpty();
  }
}
