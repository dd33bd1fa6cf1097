package ward.memory;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.List;
import java.util.OptionalLong;
import org.junit.jupiter.api.Test;

class GuestLayoutTest {

  private static final long GIB = 1L << 30;
  private static final long TIB = 1L << 40;

  /** Two pages at 0 and three pages at 1 MiB, with a hole between them. */
  private final GuestLayout small =
      layout(new GuestRegion(0, 0x2000, 0), new GuestRegion(0x100000, 0x3000, 0x2000));

  /** 16 TiB in the shape of a PC: a hole below 4 GiB for devices. */
  private final GuestLayout huge =
      layout(new GuestRegion(0, 3 * GIB, 0), new GuestRegion(4 * GIB, 16 * TIB - 3 * GIB, 3 * GIB));

  private static GuestLayout layout(GuestRegion... regions) {
    return new GuestLayout("web-7", List.of(regions));
  }

  @Test
  void countsPagesThroughTheRegionsWithoutTheHoles() {
    assertThat(small.pageCount()).isEqualTo(5);
    assertThat(small.addressOf(1)).isEqualTo(0x1000);
    assertThat(small.addressOf(2)).isEqualTo(0x100000);
    assertThat(small.pageAt(0x102fff)).isEqualTo(OptionalLong.of(4));
  }

  @Test
  void ordersTheRegionsByAddress() {
    GuestLayout shuffled =
        layout(new GuestRegion(0x100000, 0x3000, 0x2000), new GuestRegion(0, 0x2000, 0));

    assertThat(shuffled).isEqualTo(small).hasSameHashCodeAs(small);
  }

  @Test
  void findsNoPageInAHoleOrBeyondTheEnd() {
    assertThat(small.pageAt(0x2000)).isEmpty();
    assertThat(small.pageAt(0xfffff)).isEmpty();
    assertThat(small.pageAt(0x103000)).isEmpty();
    assertThat(small.pageAt(-1)).isEmpty();
  }

  @Test
  void everyPageHasAnAddressThatLeadsBackToIt() {
    for (long page = 0; page < small.pageCount(); page++) {
      assertThat(small.pageAt(small.addressOf(page))).isEqualTo(OptionalLong.of(page));
    }
  }

  @Test
  void refusesAPageIndexThatDoesNotExist() {
    assertThatThrownBy(() -> small.addressOf(5)).isInstanceOf(RuntimeException.class);
    assertThatThrownBy(() -> small.addressOf(-1)).isInstanceOf(RuntimeException.class);
  }

  @Test
  void countsTheFourThousandMillionPagesOfSixteenTebibytes() {
    assertThat(huge.pageCount()).isEqualTo(1L << 32);
    assertThat(huge.fileBytes()).isEqualTo(16 * TIB);
  }

  @Test
  void addressesTheLastPageOfSixteenTebibytes() {
    long last = (1L << 32) - 1;

    assertThat(huge.addressOf(last)).isEqualTo(16 * TIB + GIB - 0x1000);
    assertThat(huge.pageAt(16 * TIB + GIB - 1)).isEqualTo(OptionalLong.of(last));
    assertThat(huge.pagesLeftInRegion(last)).isEqualTo(1);
  }

  @Test
  void addressesPagesOnBothSidesOfTheThirtyTwoBitBorders() {
    long atFourGib = 3 * GIB >>> 12;

    assertThat(huge.addressOf(atFourGib)).isEqualTo(4 * GIB);
    assertThat(huge.regionOf(atFourGib - 1)).isZero();
    assertThat(huge.regionOf(atFourGib)).isEqualTo(1);
    assertThat(huge.addressOf(1L << 31)).isEqualTo(8 * TIB + GIB);
  }

  @Test
  void findsARunInsideARegion() {
    assertThat(small.runAt(0x100000, 3)).isEqualTo(OptionalLong.of(2));
    assertThat(small.runAt(0x101000, 2)).isEqualTo(OptionalLong.of(3));
    assertThat(huge.runAt(4 * GIB, (16 * TIB - 3 * GIB) >>> 12)).isPresent();
  }

  @Test
  void findsNoRunThatLeavesItsRegion() {
    assertThat(small.runAt(0x1000, 2)).isEmpty();
    assertThat(small.runAt(0x102000, 2)).isEmpty();
  }

  @Test
  void findsNoRunAcrossRegionsThatTouch() {
    GuestLayout touching =
        layout(new GuestRegion(0, 0x2000, 0), new GuestRegion(0x2000, 0x2000, 0x2000));

    assertThat(touching.runAt(0x1000, 1)).isPresent();
    assertThat(touching.runAt(0x1000, 2)).isEmpty();
  }

  @Test
  void findsNoRunThatIsUnalignedEmptyOrLargerThanTheGuest() {
    assertThat(small.runAt(0x100800, 1)).isEmpty();
    assertThat(small.runAt(0x100000, 0)).isEmpty();
    assertThat(small.runAt(0x100000, -1)).isEmpty();
    assertThat(small.runAt(0x100000, Long.MAX_VALUE)).isEmpty();
    assertThat(small.runAt(0x50000, 1)).isEmpty();
  }

  @Test
  void namesTheTwoRegionsThatOverlap() {
    assertThatThrownBy(
            () -> layout(new GuestRegion(0x1000, 0x2000, 0), new GuestRegion(0, 0x2000, 0x2000)))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("regions overlap: 0x0..0x2000 and 0x1000..0x3000");
  }

  @Test
  void namesTheTwoRegionsThatShareBytesOfTheFile() {
    assertThatThrownBy(
            () -> layout(new GuestRegion(0, 0x2000, 0), new GuestRegion(0x8000, 0x1000, 0x1000)))
        .hasMessage("regions at 0x0 and 0x8000 share bytes of the memory file from offset 0x1000");
  }

  @Test
  void refusesAGuestWithoutMemoryOrName() {
    assertThatThrownBy(() -> new GuestLayout("web-7", List.of()))
        .hasMessage("no regions; a guest has at least one");
    assertThatThrownBy(() -> new GuestLayout(" ", List.of(new GuestRegion(0, 0x1000, 0))))
        .hasMessage("guest \" \"; a name of 1 to 128 characters is needed");
    assertThatThrownBy(
            () -> new GuestLayout("x".repeat(129), List.of(new GuestRegion(0, 0x1000, 0))))
        .hasMessageEndingWith("a name of 1 to 128 characters is needed");
  }

  @Test
  void theFileMayHaveGapsAndAnotherOrderThanTheAddresses() {
    GuestLayout layout =
        layout(new GuestRegion(0, 0x1000, 0x9000), new GuestRegion(0x4000, 0x1000, 0));

    assertThat(layout.fileBytes()).isEqualTo(0xa000);
  }

  @Test
  void framesThatReachFromOneRegionIntoTheNextAreTwoRunsOfPages() {
    GuestLayout layout =
        new GuestLayout(
            "web-7",
            List.of(
                new GuestRegion(0x10_0000, 0x4000, 0x8000),
                new GuestRegion(0x10_4000, 0x2000, 0),
                new GuestRegion(0x20_0000, 0x1000, 0x2000)));

    assertThat(layout.pagesOf(new PageRun(0x102, 4)))
        .containsExactly(new PageRun(2, 2), new PageRun(4, 2));
    assertThat(layout.pagesOf(new PageRun(0x200, 1))).containsExactly(new PageRun(6, 1));
    assertThat(layout.pagesOf(new PageRun(0x105, 2))).as("a hole").isEmpty();
    assertThat(layout.pagesOf(new PageRun(0xff, 2))).isEmpty();
    PageSet frames = new PageSet();
    frames.add(new PageRun(0x100, 6));
    frames.add(0x200);
    assertThat(layout.frames()).isEqualTo(frames);
  }
}
