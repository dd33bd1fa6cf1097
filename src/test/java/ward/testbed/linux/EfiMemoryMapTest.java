package ward.testbed.linux;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import ward.memory.GuestRegion;
import ward.testbed.linux.EfiMemoryMap.Type;

class EfiMemoryMapTest {

  private static final List<GuestRegion> RAM =
      List.of(
          new GuestRegion(0x10_0000, 0x10_0000, 0), new GuestRegion(0x80_0000, 0x1000, 0x10_0000));

  private final EfiMemoryMap map = new EfiMemoryMap();

  /** Type, address and pages of each descriptor; checks that the rest is as it must be. */
  private static List<String> read(byte[] bytes) {
    ByteBuffer descriptors = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
    List<String> ranges = new ArrayList<>();
    while (descriptors.hasRemaining()) {
      int type = descriptors.getInt();
      assertThat(descriptors.getInt()).as("padding").isZero();
      long address = descriptors.getLong();
      assertThat(descriptors.getLong()).as("virtual address").isZero();
      ranges.add("%d at 0x%x: %d pages".formatted(type, address, descriptors.getLong()));
      assertThat(descriptors.getLong()).as("EFI_MEMORY_WB").isEqualTo(8);
    }
    return ranges;
  }

  @Test
  void unclaimedRamIsFree() {
    assertThat(read(map.toBytes(RAM)))
        .containsExactly("7 at 0x100000: 256 pages", "7 at 0x800000: 1 pages");
  }

  @Test
  void whatIsClaimedStandsBetweenWhatIsFree() {
    map.with(Type.LOADER_DATA, 0x1f_f000, 0x1000).with(Type.ACPI_NVS, 0x12_0000, 0x2000);

    assertThat(read(map.toBytes(RAM)))
        .containsExactly(
            "7 at 0x100000: 32 pages",
            "10 at 0x120000: 2 pages",
            "7 at 0x122000: 221 pages",
            "2 at 0x1ff000: 1 pages",
            "7 at 0x800000: 1 pages");
  }

  @Test
  void bytesClaimTheirWholePages() {
    map.with(Type.ACPI_RECLAIM, 0x10_0ff0, 0x20);

    assertThat(read(map.toBytes(RAM)))
        .startsWith("9 at 0x100000: 2 pages", "7 at 0x102000: 254 pages");
  }

  @Test
  void memoryClaimedTwiceIsRefused() {
    map.with(Type.ACPI_NVS, 0x12_0000, 0x2000).with(Type.LOADER_DATA, 0x12_1000, 0x1000);

    assertThatThrownBy(() -> map.toBytes(RAM))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("memory at 0x121000 is claimed twice, up to 0x122000");
  }

  @Test
  void memoryOutsideRamIsRefused() {
    map.with(Type.ACPI_NVS, 0x1f_f000, 0x2000);

    assertThatThrownBy(() -> map.toBytes(RAM))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageStartingWith("of [Range[type=ACPI_NVS")
        .hasMessageContaining("not all is in RAM");
  }
}
