package ward.destination;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import jnr.constants.platform.Errno;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import ward.memory.GuestLayout;
import ward.memory.GuestRegion;
import ward.memory.PageRun;
import ward.memory.Pages;
import ward.uffd.FillResult.Outcome;

@Timeout(10)
class PageResolverTest {

  private static final long SOURCE = 0x1000_0000;

  private final FakeFiller filler = new FakeFiller();
  private final Fixture fixture = new Fixture(filler, 16);
  private final PageResolver resolver = fixture.resolver;

  @Test
  void placesARunWithOneCallAndCountsItOnce() throws Exception {
    long placed = resolver.data(new PageRun(2, 5), SOURCE);

    assertThat(placed).isEqualTo(5);
    assertThat(filler.calls).containsExactly("copy 2+5");
    assertThat(filler.contents).containsEntry(6L, SOURCE + Pages.bytes(4));
    assertThat(resolver.counts().data()).isEqualTo(5);
    assertThat(resolver.unresolved()).isEqualTo(11);
  }

  @Test
  void neverSpansAPoisonedPageOrOneThatHasAnotherWriter() throws Exception {
    fixture.table.poison(3);
    resolver.poison(new PageRun(3, 1));
    fixture.table.claim(6);
    filler.calls.clear();

    long placed = resolver.data(new PageRun(0, 10), SOURCE);

    assertThat(placed).isEqualTo(8);
    assertThat(filler.calls).containsExactly("copy 0+3", "copy 4+2", "copy 7+3");
    assertThat(filler.contents)
        .containsEntry(3L, FakeFiller.POISON)
        .containsEntry(4L, SOURCE + Pages.bytes(4))
        .containsEntry(9L, SOURCE + Pages.bytes(9))
        .doesNotContainKey(6L);
  }

  @Test
  void claimsOnlySoMuchAtOnceThatAFaultDoesNotWaitLong() throws Exception {
    Fixture large = new Fixture(filler, 2000);

    large.resolver.zero(new PageRun(0, 1100));

    assertThat(filler.calls).containsExactly("zero 0+512", "zero 512+512", "zero 1024+76");
    assertThat(large.resolver.counts().zero()).isEqualTo(1100);
  }

  @Test
  void goesOnBehindWhatAnInterruptedCallHadDone() throws Exception {
    filler.then(Outcome.INTERRUPTED, 2, Errno.EAGAIN);

    resolver.data(new PageRun(0, 5), SOURCE);

    assertThat(filler.calls).containsExactly("copy 0+5", "copy 2+3");
    assertThat(filler.contents).containsEntry(2L, SOURCE + Pages.bytes(2)).hasSize(5);
    assertThat(resolver.counts().data()).isEqualTo(5);
  }

  @Test
  void readsPendingEventsWhenACallGetsNowhereAndTriesAgain() throws Exception {
    AtomicInteger reads = new AtomicInteger();
    resolver.onPendingEvents(reads::incrementAndGet);
    filler.then(Outcome.INTERRUPTED, 0, Errno.EAGAIN).then(Outcome.INTERRUPTED, 0, Errno.EAGAIN);

    resolver.zero(new PageRun(1, 2));

    assertThat(reads).hasValue(2);
    assertThat(filler.calls).containsExactly("zero 1+2", "zero 1+2", "zero 1+2");
    assertThat(resolver.counts().zero()).isEqualTo(2);
  }

  @Test
  void dropsWhatTurnsOutToBeGivenBackWhenThePendingEventsAreRead() throws Exception {
    resolver.onPendingEvents(() -> fixture.giveBack(new PageRun(2, 2)));
    filler.then(Outcome.INTERRUPTED, 0, Errno.EAGAIN);

    resolver.data(new PageRun(0, 5), SOURCE);

    assertThat(filler.calls).containsExactly("copy 0+5", "copy 0+2", "copy 4+1");
    assertThat(filler.contents).doesNotContainKeys(2L, 3L);
    assertThat(resolver.counts().data()).isEqualTo(3);
    assertThat(resolver.counts().givenBack()).isEqualTo(2);
    assertThat(resolver.unresolved()).isEqualTo(11);
  }

  @Test
  void wakesWhoeverWaitsForAPageWhoseContentItDropped() throws Exception {
    resolver.onPendingEvents(() -> fixture.giveBack(new PageRun(2, 1)));
    filler.then(Outcome.INTERRUPTED, 0, Errno.EAGAIN);

    resolver.data(new PageRun(2, 1), SOURCE);

    assertThat(filler.woken).containsExactly(2L);
  }

  @Test
  void wakesWhoeverWaitsForAPageThatAnotherThreadGaveBack() {
    fixture.fault(7);

    fixture.giveBack(new PageRun(6, 3));

    assertThat(filler.woken).contains(7L);
    assertThat(resolver.counts().givenBack()).isEqualTo(3);
  }

  @Test
  void wakesTheWaiterOfAPageThatAnotherProgramResolvedAndGoesOn() throws Exception {
    filler.then(Outcome.ALREADY_RESOLVED, 0, Errno.EEXIST);

    resolver.data(new PageRun(4, 3), SOURCE);

    assertThat(filler.calls).containsExactly("copy 4+3", "copy 5+2");
    assertThat(filler.woken).contains(4L);
    assertThat(fixture.heard).containsExactly("already 0x104000");
    assertThat(resolver.unresolved()).isEqualTo(13);
  }

  @Test
  void triesAgainWhenTheHostHasNoPageToSpare() throws Exception {
    filler.then(Outcome.OUT_OF_MEMORY, 0, Errno.ENOMEM);

    resolver.data(new PageRun(0, 1), SOURCE);

    assertThat(filler.calls).containsExactly("copy 0+1", "copy 0+1");
    assertThat(filler.contents).containsEntry(0L, SOURCE);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "UNREGISTERED|ENOENT|the memory is no longer mapped or registered with userfaultfd (ENOENT)",
        "PROCESS_GONE|ESRCH|the process that owned the memory has exited",
        "REFUSED|EINVAL|refused by the kernel: EINVAL (Invalid argument)"
      })
  void givesUpWithTheCallTheAddressAndTheReason(Outcome outcome, Errno errno, String reason) {
    filler.then(outcome, 0, errno);

    assertThatThrownBy(() -> resolver.zero(new PageRun(5, 1)))
        .isInstanceOf(ResolveException.class)
        .hasMessage("UFFDIO_ZEROPAGE at guest-physical address 0x105000: " + reason);
    assertThat(resolver.unresolved()).isEqualTo(16);
    assertThat(resolver.counts().resolved()).isZero();
  }

  @Test
  void tellsOnceThatEveryPageIsResolved() throws Exception {
    resolver.data(new PageRun(0, 8), SOURCE);
    fixture.table.poison(8);
    resolver.poison(new PageRun(8, 1));
    fixture.giveBack(new PageRun(9, 1));
    assertThat(fixture.allResolved).hasValue(0);

    resolver.zero(new PageRun(8, 8));
    resolver.zero(new PageRun(0, 16));
    fixture.giveBack(new PageRun(0, 16));

    assertThat(fixture.allResolved).hasValue(1);
    assertThat(resolver.counts().resolved()).isEqualTo(16);
    assertThat(
            List.of(
                resolver.counts().data(), resolver.counts().zero(),
                resolver.counts().poisoned(), resolver.counts().givenBack()))
        .containsExactly(8L, 6L, 1L, 1L);
  }

  @Test
  void markersOfTwoRegionsArePlacedRegionByRegion() throws Exception {
    GuestLayout layout =
        new GuestLayout(
            "vm-1",
            List.of(new GuestRegion(0, 0x4000, 0), new GuestRegion(0x10_0000, 0x4000, 0x4000)));
    Fixture two =
        new Fixture(filler, layout, new long[] {FakeFiller.BASE, FakeFiller.BASE + 0x10_0000});

    two.resolver.markers(new PageRun(2, 4));

    assertThat(filler.calls).containsExactly("poison 2+2", "poison 256+2");
  }

  @Test
  void aPageGivenBackReadsAsZerosWhenItIsTouchedAgain() throws Exception {
    resolver.data(new PageRun(3, 1), SOURCE);
    fixture.giveBack(new PageRun(3, 1));
    filler.drop(3);

    fixture.fault(3);

    assertThat(filler.contents).containsEntry(3L, FakeFiller.ZERO);
    assertThat(resolver.counts().data()).isEqualTo(1);
    assertThat(resolver.counts().zero()).isZero();
  }

  @Test
  void aPoisonedPageGivenBackIsPoisonedAgainWhenItIsTouched() throws Exception {
    fixture.table.poison(3);
    resolver.poison(new PageRun(3, 1));
    fixture.giveBack(new PageRun(3, 1));
    filler.drop(3);

    fixture.fault(3);

    assertThat(filler.contents).containsEntry(3L, FakeFiller.POISON);
    assertThat(resolver.counts().poisoned()).isEqualTo(1);
  }
}
