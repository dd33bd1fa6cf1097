package ward.destination;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import ward.memory.GuestLayout;
import ward.memory.GuestRegion;
import ward.memory.PageRun;
import ward.memory.PageSet;
import ward.memory.Pages;
import ward.poison.PoisonEntry;

class UnarrivedPagesTest {

  private static GuestLayout layout(long address, long pages) {
    return new GuestLayout("vm-1", List.of(new GuestRegion(address, Pages.bytes(pages), 0)));
  }

  private static List<PoisonEntry> entries(GuestLayout layout, PageTable table) {
    return UnarrivedPages.of(layout, table).entries(Fixture.ORIGIN);
  }

  private static PageSet framesOf(List<PoisonEntry> entries) {
    PageSet frames = new PageSet();
    for (PoisonEntry entry : entries) {
      frames.add(
          new PageRun(
              entry.guestPhysicalAddress() >>> Pages.SHIFT,
              1L << (entry.pageShift() - Pages.SHIFT)));
    }
    return frames;
  }

  @Test
  void aGuestOfWhichNothingArrivedIsAFewExtents() {
    PageTable table = new PageTable(3L << 18);

    List<PoisonEntry> entries = entries(layout(0, 3L << 18), table);

    assertThat(entries).extracting(PoisonEntry::pageShift).containsExactly(30, 30, 30);
  }

  @ParameterizedTest
  @ValueSource(longs = {0, 0x1000, 0x7f000, 0x1_0000_3000L})
  void everyPageThatIsNeitherPresentNorPoisonedIsNamedOnce(long address) {
    GuestLayout layout = layout(address, 600);
    PageTable table = new PageTable(600);
    List.of(0L, 17L, 18L, 300L, 599L).forEach(table::claim);
    List.of(40L, 41L).forEach(table::poison);
    table.request(50); // somebody waits for it

    List<PoisonEntry> entries = entries(layout, table);

    PageSet expected = new PageSet();
    for (long page = 0; page < 600; page++) {
      if (!List.of(0L, 17L, 18L, 300L, 599L, 40L, 41L).contains(page)) {
        expected.add((address >>> Pages.SHIFT) + page);
      }
    }
    assertThat(framesOf(entries)).isEqualTo(expected);
    assertThat(entries.stream().mapToLong(entry -> 1L << (entry.pageShift() - 12)).sum())
        .isEqualTo(593);
    assertThat(entries)
        .allMatch(entry -> entry.guestPhysicalAddress() % (1L << entry.pageShift()) == 0);
  }

  @Test
  void aGuestWithAllOfItsPagesHasNone() {
    PageTable table = new PageTable(4);
    for (long page = 0; page < 4; page++) {
      table.claim(page);
    }

    assertThat(entries(layout(0, 4), table)).isEmpty();
  }
}
