package ward.uffd;

import static org.assertj.core.api.Assertions.assertThat;
import static ward.uffd.WatchedMemory.PAGE;
import static ward.uffd.WatchedMemory.await;
import static ward.uffd.WatchedMemory.awaitThat;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import jnr.constants.platform.Errno;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import ward.kernel.Linux;
import ward.kernel.NativeKernel;
import ward.kernel.NativeMemory;
import ward.testing.RequiresUserfaultfd;
import ward.uffd.FillResult.Outcome;
import ward.uffd.MarkerScan.Real;
import ward.uffd.WatchedMemory.Kind;
import ward.uffd.WatchedMemory.Touch;

/** Every kind of marker that this kernel offers; the others are skipped, with the reason. */
@RequiresUserfaultfd
@Timeout(60)
class PoisonMarkerKernelTest {

  private static final int EFAULT = -Errno.EFAULT.intValue();
  private static final int RACES = 300;

  private static PoisonMarker open(MarkerKind kind) throws Exception {
    PoisonMarkers markers = new PoisonMarkers(NativeKernel.load());
    for (MarkerOffer offer : markers.offers()) {
      Assumptions.assumeTrue(offer.kind() != kind || offer.isAvailable(), offer.refusal());
    }
    return markers.open(kind);
  }

  @ParameterizedTest
  @EnumSource
  void whoeverTouchesTheRangeTakesSigbusAndWhoeverCopiesItIsToldEfault(MarkerKind kind)
      throws Exception {
    try (PoisonMarker marker = open(kind);
        WatchedMemory memory = new WatchedMemory(Kind.ANONYMOUS, marker)) {

      FillResult result = memory.uffd.poison(memory.page(4), 3 * PAGE);

      assertThat(result).isEqualTo(new FillResult(Outcome.COMPLETED, 3 * PAGE, 0));
      for (int page = 4; page < 7; page++) {
        Touch touch = memory.touchNow(memory.page(page) + 8);
        assertThat(touch.answer()).isEqualTo(EFAULT);
        assertThat(touch.signalAddress()).isEqualTo(memory.page(page) + 8);
        assertThat(touch.signalCode()).isIn(Linux.BUS_MCEERR_AR, Linux.BUS_ADRERR);
        NativeMemory copy = NativeMemory.allocate(8);
        assertThat(memory.kernel.copy(copy.address(), memory.page(page), 8)).isEqualTo(EFAULT);
      }
    }
  }

  @ParameterizedTest
  @EnumSource
  void whoeverWaitsForThePageIsWokenAndTakesSigbus(MarkerKind kind) throws Exception {
    try (PoisonMarker marker = open(kind);
        WatchedMemory memory = new WatchedMemory(Kind.ANONYMOUS, marker)) {
      CompletableFuture<Touch> unread = memory.touch(memory.page(2));
      CompletableFuture<Touch> read = memory.touch(memory.page(3));
      memory.awaitUnreadFaults(2);
      memory.nextEvent();

      memory.uffd.poison(memory.page(2), 2 * PAGE);

      assertThat(await(unread).answer()).isEqualTo(EFAULT);
      assertThat(await(read).answer()).isEqualTo(EFAULT);
    }
  }

  @ParameterizedTest
  @EnumSource
  void nobodyReadsBytesWhileAMarkerIsPlaced(MarkerKind kind) throws Exception {
    try (PoisonMarker marker = open(kind)) {
      for (int race = 0; race < RACES / WatchedMemory.PAGE_COUNT; race++) {
        try (WatchedMemory memory = new WatchedMemory(Kind.ANONYMOUS, marker)) {
          List<CompletableFuture<Integer>> touchers = new ArrayList<>();
          for (int i = 0; i < 2; i++) {
            touchers.add(memory.start(() -> pagesRead(memory)));
          }
          for (int page = 0; page < WatchedMemory.PAGE_COUNT; page++) {
            memory.poison(page);
          }

          for (CompletableFuture<Integer> toucher : touchers) {
            awaitThat(() -> isDoneAfterWake(memory, toucher), "a thread that touches every page");
            assertThat(await(toucher)).isZero();
          }
        }
      }
    }
  }

  /**
   * To a fault that is under way the kernel shows a marker as an empty entry ({@code
   * userfaultfd_must_wait} in fs/userfaultfd.c), so it may begin to wait after the marker has woken
   * everyone. Whoever reads its event wakes it; here nobody reads.
   */
  private static boolean isDoneAfterWake(WatchedMemory memory, CompletableFuture<?> toucher) {
    memory.wakeAll();
    return toucher.isDone();
  }

  private static int pagesRead(WatchedMemory memory) {
    int read = 0;
    for (int page = 0; page < WatchedMemory.PAGE_COUNT; page++) {
      read += memory.touchNow(memory.page(page)).answer() == 0 ? 1 : 0;
    }
    return read;
  }

  @ParameterizedTest
  @EnumSource
  void theNeighboursOfAMarkerAreStillWatched(MarkerKind kind) throws Exception {
    try (PoisonMarker marker = open(kind);
        WatchedMemory memory = new WatchedMemory(Kind.ANONYMOUS, marker)) {
      memory.poison(5);
      CompletableFuture<Touch> below = memory.touch(memory.page(4));
      assertThat(memory.nextEvent().address(0)).isEqualTo(memory.page(4));
      assertThat(memory.copy(4).outcome()).isEqualTo(Outcome.COMPLETED);
      assertThat(await(below).answer()).isZero();

      FillResult above = memory.uffd.copy(memory.page(6), memory.sourceOf(6), 10 * PAGE);

      assertThat(above.outcome()).isEqualTo(Outcome.COMPLETED);
      memory.assertHoldsItsBytes(4);
      memory.assertHoldsItsBytes(15);
    }
  }

  @ParameterizedTest
  @EnumSource
  void aScanTellsMarkersFromMissingPages(MarkerKind kind) throws Exception {
    try (PoisonMarker marker = open(kind);
        WatchedMemory memory = new WatchedMemory(Kind.ANONYMOUS, marker)) {
      memory.copy(1);
      memory.uffd.poison(memory.page(4), 2 * PAGE);
      memory.poison(15);
      Map<Long, Real> found = new HashMap<>();

      new MarkerScan(memory.kernel, marker)
          .scan(memory.base, 0, WatchedMemory.PAGE_COUNT, found::put);

      for (int page = 0; page < WatchedMemory.PAGE_COUNT; page++) {
        assertThat(found.get((long) page)).as("page %d", page).isEqualTo(expected(page));
      }
      assertThat(memory.uffd.readEvents(new EventBatch(1))).isZero();
    }
  }

  private static Real expected(int page) {
    return switch (page) {
      case 1 -> Real.MAPPED;
      case 4, 5, 15 -> Real.POISONED;
      default -> Real.EMPTY;
    };
  }

  @ParameterizedTest
  @EnumSource
  void markersOutliveWhoPlacedThem(MarkerKind kind) throws Exception {
    PoisonMarker marker = open(kind);
    try (WatchedMemory memory = new WatchedMemory(Kind.ANONYMOUS, marker)) {
      memory.poison(5);

      memory.uffd.close();
      marker.close();

      assertThat(memory.touchNow(memory.page(5)).answer()).isEqualTo(EFAULT);
    }
  }

  @ParameterizedTest
  @EnumSource(names = {"HWPOISON", "SIGBUS"})
  void aMappingStaysAMarkerWhenTheGuestGivesItsPageBack(MarkerKind kind) throws Exception {
    try (PoisonMarker marker = open(kind);
        WatchedMemory memory = new WatchedMemory(Kind.ANONYMOUS, marker)) {
      memory.poison(5);

      assertThat(await(memory.discard(5))).isZero();

      assertThat(memory.touchNow(memory.page(5)).answer()).isEqualTo(EFAULT);
    }
  }

  @ParameterizedTest
  @EnumSource(names = {"HWPOISON", "SIGBUS"})
  void aMappingIsPlacedAgainWithoutHarm(MarkerKind kind) throws Exception {
    try (PoisonMarker marker = open(kind);
        WatchedMemory memory = new WatchedMemory(Kind.ANONYMOUS, marker)) {
      memory.poison(5);

      assertThat(memory.poison(5).outcome()).isEqualTo(Outcome.COMPLETED);

      assertThat(memory.touchNow(memory.page(5)).answer()).isEqualTo(EFAULT);
    }
  }

  @ParameterizedTest
  @EnumSource
  void aRangeThatIsNotAlignedIsRefused(MarkerKind kind) throws Exception {
    try (PoisonMarker marker = open(kind);
        WatchedMemory memory = new WatchedMemory(Kind.ANONYMOUS, marker)) {

      FillResult result = memory.uffd.poison(memory.page(5) + 8, PAGE);

      assertThat(result).isEqualTo(new FillResult(Outcome.REFUSED, 0, Errno.EINVAL.intValue()));
    }
  }
}
