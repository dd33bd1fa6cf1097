package ward.vcpu;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class X86PagingTest {

  private static final long KERNEL = 0xffff_8881_2345_6000L;
  private static final long USER = 0x5555_5555_4000L;

  private final X86Fixture guest = new X86Fixture();

  private X86Translation translate(long linear) {
    return new X86Paging(guest.special, guest).translate(linear);
  }

  @Test
  void withoutPagingAnAddressIsItself() {
    guest.special.cr0(0);

    assertThat(translate(0x12345)).isEqualTo(X86Translation.mapped(0x12345));
  }

  @ParameterizedTest
  @CsvSource({"12, 0x7777000", "21, 0x7600000", "30, 0x40000000"})
  void aLeafOfAnySizeEndsTheWalk(int leafShift, String physical) {
    long frame = Long.decode(physical);
    guest.map(KERNEL, frame, leafShift, 4);
    long offset = KERNEL + 0xabc & (1L << leafShift) - 1;

    assertThat(translate(KERNEL + 0xabc)).isEqualTo(X86Translation.mapped(frame | offset));
  }

  @Test
  void whatALargeLeafHasBelowItsAddressIsNoneOfTheAddress() {
    long entry = guest.map(USER, 0x7600000, 21, 4);
    guest.writeLong(
        entry,
        0x7600000
            | X86Fixture.LOW_BITS_OF_A_LEAF
            | X86Fixture.LEAF
            | X86Fixture.PRESENT
            | 1L << 63);

    assertThat(translate(USER)).isEqualTo(X86Translation.mapped(0x7600000 | USER & 0x1fffff));
  }

  @Test
  void withFiveLevelsTheyAreAllWalked() {
    guest.special.cr4(X86Fixture.CR4_PHYSICAL_EXTENSION | X86Fixture.CR4_FIVE_LEVELS);
    long linear = 0x00ab_cdef_0123_4000L;
    guest.map(linear, 0x99000, 12, 5);

    assertThat(translate(linear + 5)).isEqualTo(X86Translation.mapped(0x99005));
  }

  @ParameterizedTest
  @CsvSource({"0x0000800000000000", "0x7fff800000000000"})
  void anAddressThatIsNotCanonicalIsMappedNowhere(String linear) {
    guest.map(Long.decode(linear) & 0xffff_ffff_ffffL, 0x7000);

    assertThat(translate(Long.decode(linear))).isEqualTo(X86Translation.NOT_MAPPED);
  }

  @Test
  void anEntryThatIsNotPresentEndsTheWalk() {
    long entry = guest.map(USER, 0x7000);
    guest.writeLong(entry, 0x7000);

    assertThat(translate(USER)).isEqualTo(X86Translation.NOT_MAPPED);
    assertThat(translate(KERNEL)).isEqualTo(X86Translation.NOT_MAPPED);
  }

  @Test
  void aTableThatCannotBeReadIsWhereTheWalkEnds() {
    long entry = guest.map(USER, 0x7000);
    guest.lose(entry);

    assertThat(translate(USER)).isEqualTo(X86Translation.unreadable(entry));
  }

  @Test
  void aRootThatCannotBeReadIsNamedToo() {
    guest.map(USER, 0x7000);
    guest.lose(X86Fixture.ROOT);

    assertThat(translate(USER))
        .isEqualTo(X86Translation.unreadable(X86Fixture.ROOT + (USER >>> 39) * 8));
  }

  @Test
  void theBitsOfCr3ThatAreNoAddressAreLeftOut() {
    guest.map(USER, 0x7000);
    guest.special.cr3(X86Fixture.ROOT | 0x8000_0000_0000_0fffL);

    assertThat(translate(USER)).isEqualTo(X86Translation.mapped(0x7000));
  }

  @Test
  void withPhysicalExtensionThereAreThreeLevels() {
    guest.in32BitCode();
    guest.special.cr3(0x1020);
    guest.writeLong(0x1020 + 8 * 3, 0x2000 | X86Fixture.PRESENT);
    guest.writeLong(0x2000 + 8 * 1, 0x3000 | X86Fixture.PRESENT);
    guest.writeLong(0x3000 + 8 * 2, 0x8_0000_5000L | X86Fixture.PRESENT);

    assertThat(translate(0xc020_2123L)).isEqualTo(X86Translation.mapped(0x8_0000_5123L));
  }

  @Test
  void theOldTablesHaveTwoLevelsAndLeavesOf4MiB() {
    guest.in32BitCode();
    guest.special.cr4(X86Fixture.CR4_LARGE_PAGES);
    guest.writeInt(0x1000 + 4 * 1, 0x2001);
    guest.writeInt(0x2000 + 4 * 3, 0x5001);
    guest.writeInt(0x1000 + 4 * 2, 0x0080_2081);

    assertThat(translate(0x0040_3123L)).isEqualTo(X86Translation.mapped(0x5123));
    assertThat(translate(0x0080_0123L)).isEqualTo(X86Translation.mapped(0x1_0080_0123L));
    assertThat(translate(0x00c0_0000L)).isEqualTo(X86Translation.NOT_MAPPED);
  }

  @Test
  void anOldTableThatCannotBeReadIsNamed() {
    guest.in32BitCode();
    guest.special.cr4(0);
    guest.writeInt(0x1000 + 4 * 1, 0x2001);
    guest.lose(0x2000);

    assertThat(translate(0x0040_3123L)).isEqualTo(X86Translation.unreadable(0x200c));
  }
}
