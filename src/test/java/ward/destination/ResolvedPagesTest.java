package ward.destination;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import org.junit.jupiter.api.Test;
import ward.memory.GuestLayout;
import ward.memory.GuestRegion;
import ward.memory.PageRun;
import ward.memory.PageSet;
import ward.memory.Pages;
import ward.wire.ControlMessage;
import ward.wire.ControlMessage.RecoveryPart;

class ResolvedPagesTest {

  private static PageSet frames(PageRun... runs) {
    PageSet set = new PageSet();
    List.of(runs).forEach(set::add);
    return set;
  }

  @Test
  void nothingIsSaidOfPagesThatAreMissingOrOnTheirWay() {
    PageTable table = new PageTable(16);
    table.request(3);
    table.poison(5); // claimed, and not on disk yet

    ResolvedPages resolved = ResolvedPages.of(Fixture.layout(16), table, new PageSet());

    assertThat(resolved.parts()).isEmpty();
    assertThat(resolved.presentPages()).isZero();
  }

  @Test
  void pagesAreNamedByGuestFrameNumberOnBothSidesOfAHole() {
    GuestLayout layout =
        new GuestLayout(
            "vm-1",
            List.of(new GuestRegion(0, 8 << 12, 0), new GuestRegion(1L << 32, 8 << 12, 8 << 12)));
    PageTable table = new PageTable(16);
    List.of(0L, 6L, 7L, 8L, 9L, 15L).forEach(table::claim);

    ResolvedPages resolved = ResolvedPages.of(layout, table, frames(new PageRun(3, 2)));

    long high = (1L << 32) >>> Pages.SHIFT;
    assertThat(resolved.parts())
        .containsExactly(
            new RecoveryPart(
                frames(
                    new PageRun(0, 1),
                    new PageRun(6, 2),
                    new PageRun(high, 2),
                    new PageRun(high + 7, 1)),
                frames(new PageRun(3, 2))));
    assertThat(resolved.presentPages()).isEqualTo(6);
  }

  @Test
  void moreRunsThanAMessageHoldsGoIntoSeveral() {
    long pages = 2L * ControlMessage.RUNS_MAX + 2;
    PageTable table = new PageTable(pages);
    for (long page = 0; page < pages; page += 2) {
      table.claim(page);
    }

    ResolvedPages resolved = ResolvedPages.of(Fixture.layout(pages), table, new PageSet());

    assertThat(resolved.parts())
        .extracting(part -> part.present().size())
        .containsExactly(65_536L, 1L);
    assertThat(resolved.presentPages()).isEqualTo(65_537);
  }
}
