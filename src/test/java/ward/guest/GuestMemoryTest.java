package ward.guest;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.List;
import java.util.OptionalLong;
import org.junit.jupiter.api.Test;
import ward.memory.GuestLayout;
import ward.memory.GuestRegion;

class GuestMemoryTest {

  private static final long LOW = 0x7f00_0000_0000L;
  private static final long HIGH = 0x7e00_0000_0000L;

  private final GuestLayout layout =
      new GuestLayout(
          "web-7",
          List.of(new GuestRegion(0, 0x2000, 0), new GuestRegion(0x100000, 0x3000, 0x2000)));

  /** The second region is mapped below the first, as mmap likes to do. */
  private final GuestMemory memory = new GuestMemory(layout, new long[] {LOW, HIGH});

  @Test
  void everyPageHasAHostAddressInTheMappingOfItsRegion() {
    assertThat(memory.hostAddressOf(0)).isEqualTo(LOW);
    assertThat(memory.hostAddressOf(1)).isEqualTo(LOW + 0x1000);
    assertThat(memory.hostAddressOf(2)).isEqualTo(HIGH);
    assertThat(memory.hostAddressOf(4)).isEqualTo(HIGH + 0x2000);
  }

  @Test
  void findsThePageOfAnyByteInAMapping() {
    assertThat(memory.pageAtHostAddress(LOW + 0x1fff)).isEqualTo(OptionalLong.of(1));
    assertThat(memory.pageAtHostAddress(HIGH)).isEqualTo(OptionalLong.of(2));
    assertThat(memory.pageAtHostAddress(HIGH + 0x2fff)).isEqualTo(OptionalLong.of(4));
  }

  @Test
  void findsNoPageAroundTheMappings() {
    assertThat(memory.pageAtHostAddress(0)).isEmpty();
    assertThat(memory.pageAtHostAddress(LOW - 1)).isEmpty();
    assertThat(memory.pageAtHostAddress(LOW + 0x2000)).isEmpty();
    assertThat(memory.pageAtHostAddress(HIGH + 0x3000)).isEmpty();
    assertThat(memory.pageAtHostAddress(-1)).isEmpty();
  }

  @Test
  void translatesTheLastByteOfSixteenTebibytes() {
    GuestLayout huge = new GuestLayout("db-1", List.of(new GuestRegion(0, 1L << 44, 0)));
    GuestMemory mapped = new GuestMemory(huge, new long[] {HIGH});

    assertThat(mapped.pageAtHostAddress(HIGH + (1L << 44) - 1))
        .isEqualTo(OptionalLong.of((1L << 32) - 1));
    assertThat(mapped.hostAddressOf((1L << 32) - 1)).isEqualTo(HIGH + (1L << 44) - 0x1000);
  }

  @Test
  void keepsItsOwnCopyOfTheAddresses() {
    long[] addresses = {LOW, HIGH};
    GuestMemory own = new GuestMemory(layout, addresses);

    addresses[0] = 0;

    assertThat(own.hostAddressOfRegion(0)).isEqualTo(LOW);
  }

  @Test
  void needsAnAddressForEveryRegion() {
    assertThatThrownBy(() -> new GuestMemory(layout, new long[] {LOW}))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("1 addresses for 2 regions");
  }
}
