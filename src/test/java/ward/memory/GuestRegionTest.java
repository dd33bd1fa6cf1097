package ward.memory;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import org.junit.jupiter.api.Test;

class GuestRegionTest {

  @Test
  void containsItsFirstAndItsLastByteAndNotTheOneAfter() {
    GuestRegion region = new GuestRegion(0x100000, 0x3000, 0);

    assertThat(region.contains(0xfffff)).isFalse();
    assertThat(region.contains(0x100000)).isTrue();
    assertThat(region.contains(0x102fff)).isTrue();
    assertThat(region.contains(0x103000)).isFalse();
  }

  @Test
  void countsItsPages() {
    assertThat(new GuestRegion(0x100000, 0x3000, 0).pageCount()).isEqualTo(3);
  }

  @Test
  void mayEndAtTheLastAddressThatAMachineHas() {
    GuestRegion region = new GuestRegion(GuestRegion.MAX_ADDRESS - 0x1000, 0x1000, 0);

    assertThat(region.endAddress()).isEqualTo(1L << 52);
  }

  @Test
  void refusesAnUnalignedNumberByName() {
    assertThatThrownBy(() -> new GuestRegion(0x1001, 0x1000, 0))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("guestPhysicalAddress 0x1001; a multiple of 4096 from 0 to 2^52 is allowed");
    assertThatThrownBy(() -> new GuestRegion(0, 0x1800, 0))
        .hasMessage("lengthBytes 0x1800; a multiple of 4096 from 0 to 2^52 is allowed");
    assertThatThrownBy(() -> new GuestRegion(0, 0x1000, 1))
        .hasMessage("fileOffset 0x1; a multiple of 4096 from 0 to 2^52 is allowed");
  }

  @Test
  void refusesANegativeNumber() {
    assertThatThrownBy(() -> new GuestRegion(-0x1000, 0x1000, 0))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageStartingWith("guestPhysicalAddress 0xfffffffffffff000;");
  }

  @Test
  void refusesToBeEmpty() {
    assertThatThrownBy(() -> new GuestRegion(0x4000, 0, 0))
        .hasMessage(
            "region at 0x4000 has lengthBytes 0; at least one page of 4096 bytes is needed");
  }

  @Test
  void refusesToEndWhereNoMachineHasMemory() {
    assertThatThrownBy(() -> new GuestRegion(GuestRegion.MAX_ADDRESS - 0x1000, 0x2000, 0))
        .hasMessage(
            "region at 0xffffffffff000 of 0x2000 bytes ends above 2^52, the most a guest can"
                + " address");
  }
}
