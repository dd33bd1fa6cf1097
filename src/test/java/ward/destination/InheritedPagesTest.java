package ward.destination;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assertions.assertDoesNotThrow;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static ward.destination.Fixture.frame;
import static ward.destination.Fixture.lost;

import java.util.List;
import org.junit.jupiter.api.Test;
import ward.destination.PageTable.State;
import ward.memory.PageRun;
import ward.memory.PageSet;
import ward.poison.PoisonLedger;
import ward.uffd.MarkerScan.Real;

class InheritedPagesTest {

  private static final int PAGES = 8;

  private final FakeFiller kernel = new FakeFiller();
  private final Fixture arrival = new Fixture(kernel, PAGES);
  private final PoisonLedger ledger = new PoisonLedger();
  private final PageSet givenBack = new PageSet();

  private InheritedPages seen(boolean mayHaveArrived, Real... memory) {
    InheritedPages pages =
        new InheritedPages(Fixture.layout(PAGES), ledger, givenBack, mayHaveArrived);
    for (int page = 0; page < memory.length; page++) {
      pages.visit(page, memory[page]);
    }
    return pages;
  }

  private void moveIn(InheritedPages pages) throws Exception {
    pages.requireNoContradiction();
    pages.moveInto(arrival.table, arrival.resolver, arrival.givenBack);
  }

  private List<State> states(int count) {
    return java.util.stream.LongStream.range(0, count).mapToObj(arrival.table::get).toList();
  }

  @Test
  void everyPageBecomesWhatMemoryLedgerAndOwnerSayTogether() throws Exception {
    ledger.record(lost(1));
    ledger.record(lost(2));
    ledger.record(lost(5));
    givenBack.add(new PageRun(4, 3));

    InheritedPages pages =
        seen(
            true,
            Real.MAPPED,
            Real.POISONED,
            Real.EMPTY, // lost, and the daemon died before it placed the marker
            Real.EMPTY,
            Real.EMPTY, // given back
            Real.EMPTY, // lost, marked, and given back
            Real.MAPPED, // given back, and touched since
            Real.EMPTY);
    moveIn(pages);

    assertEquals(
        List.of(
            State.PRESENT,
            State.POISONED,
            State.POISONED,
            State.MISSING,
            State.PRESENT,
            State.POISONED,
            State.PRESENT,
            State.MISSING),
        states(PAGES));
    assertThat(kernel.calls).containsExactly("poison 2+1", "poison 5+1");
    assertEquals(2, arrival.resolver.unresolved());
    assertEquals(2, arrival.resolver.counts().data());
    assertEquals(3, arrival.resolver.counts().poisoned());
    assertEquals(1, arrival.resolver.counts().givenBack());
    assertThat(arrival.givenBack.copy()).isEqualTo(givenBack);
    PageSet frames = new PageSet();
    List.of(1, 2, 5).forEach(page -> frames.add(frame(page)));
    assertEquals(frames, pages.poisonedFrames());
  }

  /** Whoever touches it next must find the marker again, or zeros; never what the source has. */
  @Test
  void aPageThatWasGivenBackIsServedAsBefore() throws Exception {
    ledger.record(lost(1));
    givenBack.add(new PageRun(0, 2));
    moveIn(seen(true, Real.EMPTY, Real.POISONED));
    kernel.calls.clear();

    arrival.fault(0);
    kernel.drop(1);
    arrival.fault(1);

    assertThat(kernel.calls).containsExactly("zero 0+1", "poison 1+1");
    assertThat(arrival.requests).isEmpty();
    assertThat(arrival.failures).isEmpty();
  }

  @Test
  void aPageThatNeverCameIsAskedForWhenItIsTouchedAgain() throws Exception {
    moveIn(seen(true, Real.MAPPED, Real.EMPTY));

    arrival.fault(0);
    arrival.fault(1);

    assertThat(arrival.requests).hasSize(1);
    assertEquals(Fixture.gpa(1), arrival.requests.get(0).guestPhysicalAddress());
    assertThat(kernel.woken).containsExactly(0L);
  }

  @Test
  void allThatIsHereIsNoticedAsAll() throws Exception {
    ledger.record(lost(7));
    Real[] memory = new Real[PAGES];
    java.util.Arrays.fill(memory, Real.MAPPED);
    memory[7] = Real.POISONED;

    moveIn(seen(true, memory));

    assertEquals(0, arrival.resolver.unresolved());
    assertEquals(1, arrival.allResolved.get());
  }

  @Test
  void aPageInThePlaceOfALossIsNotGuessedAt() {
    ledger.record(lost(1));

    var e =
        assertThrows(
            InheritanceException.class,
            () -> seen(true, Real.MAPPED, Real.MAPPED).requireNoContradiction());

    assertThat(e)
        .hasMessageContaining("1 pages")
        .hasMessageContaining(
            "guest-physical address 0x%x is lost by the ledger, but its memory holds a page",
            Fixture.gpa(1));
  }

  @Test
  void aMarkerThatNoLedgerKnowsIsNotGuessedAt() {
    var e =
        assertThrows(
            InheritanceException.class, () -> seen(true, Real.POISONED).requireNoContradiction());

    assertThat(e).hasMessageContaining("has a poison marker, but the ledger does not know");
  }

  @Test
  void beforeAnythingWasSentOnlyMarkersMayBeThere() {
    ledger.record(lost(0));
    ledger.record(lost(2));

    assertDoesNotThrow(
        () -> seen(false, Real.POISONED, Real.EMPTY, Real.EMPTY).requireNoContradiction());
    var e =
        assertThrows(
            InheritanceException.class,
            () -> seen(false, Real.POISONED, Real.MAPPED).requireNoContradiction());
    assertThat(e).hasMessageContaining("holds a page, though nothing has been sent yet");
  }

  /** Its content would be taken for zeros. */
  @Test
  void nothingCanBeGivenBackBeforeItCame() {
    givenBack.add(new PageRun(1, 1));

    var e =
        assertThrows(
            InheritanceException.class,
            () -> seen(false, Real.EMPTY, Real.EMPTY).requireNoContradiction());

    assertThat(e).hasMessageContaining("has not run, but 1 pages {1} are said to be given back");
  }
}
