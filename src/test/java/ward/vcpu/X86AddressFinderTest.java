package ward.vcpu;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.HexFormat;
import java.util.List;
import org.junit.jupiter.api.Test;

class X86AddressFinderTest {

  private static final long CODE = 0x40_0000;
  private static final long CODE_PAGE = 0x10_0000;
  private static final long DATA = 0x7f00_0000_0000L;
  private static final long DATA_PAGE = 0x20_0000;
  private static final long NEXT_DATA_PAGE = 0x30_0000;
  private static final long OTHER = 0x7f00_1000_0000L;
  private static final long OTHER_PAGE = 0x40_0000;

  private static final int RBX = 3;
  private static final int RSI = 6;
  private static final int RDI = 7;

  /** mov rax, [rbx]. */
  private static final String LOAD = "488b03";

  /** rep movsb. */
  private static final String COPY = "f3a4";

  private final X86Fixture guest = new X86Fixture();

  X86AddressFinderTest() {
    guest.map(CODE, CODE_PAGE);
    guest.map(CODE + 0x1000, CODE_PAGE + 0x1000);
    guest.map(DATA, DATA_PAGE);
    guest.map(DATA + 0x1000, NEXT_DATA_PAGE);
    guest.map(OTHER, OTHER_PAGE);
    guest.general.rip(CODE);
    guest.general.general(1, 5);
    guest.general.general(RBX, DATA + 0x10);
    guest.general.general(RSI, DATA + 0x20);
    guest.general.general(RDI, OTHER + 0x30);
  }

  private List<Long> reachOf(String hex) {
    guest.write(CODE_PAGE + guest.general.rip() - CODE, HexFormat.of().parseHex(hex));
    return new X86AddressFinder(guest.general, guest.special, guest).reach();
  }

  @Test
  void anOperandThatCannotBeReadIsFound() {
    guest.lose(DATA_PAGE);

    assertThat(reachOf(LOAD)).containsExactly(DATA_PAGE);
  }

  @Test
  void whereEverythingCanBeReadNothingIsFound() {
    assertThat(reachOf(LOAD)).isEmpty();
  }

  @Test
  void aLossThatTheInstructionDoesNotTouchIsNotFound() {
    guest.lose(OTHER_PAGE);

    assertThat(reachOf(LOAD)).isEmpty();
  }

  @Test
  void anOperandThatReachesIntoTheNextPageIsFollowed() {
    guest.general.general(RBX, DATA + 0xffc);
    guest.lose(NEXT_DATA_PAGE);

    assertThat(reachOf(LOAD)).containsExactly(NEXT_DATA_PAGE);
  }

  @Test
  void bothEndsOfACopyAreFound() {
    guest.lose(DATA_PAGE);
    guest.lose(OTHER_PAGE);

    assertThat(reachOf(COPY)).containsExactly(DATA_PAGE, OTHER_PAGE);
  }

  @Test
  void codeThatCannotBeReadIsAllThereIs() {
    guest.lose(CODE_PAGE);
    guest.lose(DATA_PAGE);

    assertThat(reachOf(LOAD)).containsExactly(CODE_PAGE);
  }

  @Test
  void anInstructionMayEndInAPageThatCannotBeRead() {
    guest.general.rip(CODE + 0xffe);
    guest.lose(CODE_PAGE + 0x1000);
    guest.lose(DATA_PAGE);

    assertThat(reachOf(LOAD)).containsExactly(CODE_PAGE + 0x1000);
  }

  @Test
  void anInstructionThatEndsBeforeThePageDoesDoesNotTouchTheNextOne() {
    guest.general.rip(CODE + 0xffd);
    guest.lose(CODE_PAGE + 0x1000);
    guest.lose(DATA_PAGE);

    assertThat(reachOf(LOAD)).containsExactly(DATA_PAGE);
  }

  @Test
  void anInstructionAcrossTwoPagesIsPutTogether() {
    guest.general.rip(CODE + 0xffe);
    guest.lose(DATA_PAGE);

    assertThat(reachOf(LOAD)).containsExactly(DATA_PAGE);
  }

  @Test
  void aPageTableThatCannotBeReadIsFoundInsteadOfThePage() {
    long entry = guest.map(DATA, DATA_PAGE);
    guest.lose(entry);
    guest.lose(DATA_PAGE);

    assertThat(reachOf(LOAD)).containsExactly(entry & -4096);
  }

  @Test
  void anUnmappedOperandIsTheGuestsOwnAffair() {
    guest.general.general(RBX, 0x6600_0000_0000L);

    assertThat(reachOf(LOAD)).isEmpty();
  }

  @Test
  void aDescriptorTableThatCannotBeReadIsFound() {
    guest.special.gdt(OTHER, 0x7f);
    guest.lose(OTHER_PAGE);

    assertThat(reachOf("8ed8")).containsExactly(OTHER_PAGE);
  }

  @Test
  void whereTheInstructionReachesNothingLostTheWayToAHandlerIsFollowed() {
    guest.special.segment(KvmSregs.Register.TR, new KvmSegment(DATA + 0x800, 0x67, 0x28, 11, 0));
    guest.writeLong(DATA_PAGE + 0x804, OTHER + 0x1000);
    guest.lose(OTHER_PAGE);

    assertThat(reachOf(LOAD)).containsExactly(OTHER_PAGE);
  }

  @Test
  void aLostGateIsFoundOnlyIfTheInstructionItselfIsNotTheCause() {
    guest.special.idt(OTHER, 0xfff);
    guest.lose(OTHER_PAGE);
    assertThat(reachOf(LOAD)).containsExactly(OTHER_PAGE);

    guest.lose(DATA_PAGE);
    assertThat(reachOf(LOAD)).containsExactly(DATA_PAGE);
  }

  @Test
  void anInstructionThatIsNotKnownReachesNothing() {
    guest.lose(DATA_PAGE);

    assertThat(reachOf("c4e27d9203")).isEmpty();
  }
}
