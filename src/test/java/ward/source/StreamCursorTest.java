package ward.source;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.atomic.AtomicIntegerArray;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import ward.memory.GuestLayout;
import ward.memory.GuestRegion;
import ward.memory.PageRun;
import ward.memory.Pages;

class StreamCursorTest {

  @Test
  void slicesEndAtTheBordersOfRegions() {
    StreamCursor cursor = new StreamCursor(SmallGuest.LAYOUT, false);

    List<PageRun> slices = allOf(cursor);

    assertEquals(List.of(new PageRun(0, 100), new PageRun(100, 30)), slices);
    assertNull(cursor.next());
  }

  @Test
  void slicesEndWhereTheGuestsHugePagesDo() {
    long begin = Pages.bytes(510);
    GuestLayout layout =
        new GuestLayout("askew", List.of(new GuestRegion(begin, Pages.bytes(1024), 0)));

    List<PageRun> slices = allOf(new StreamCursor(layout, false));

    assertEquals(List.of(new PageRun(0, 2), new PageRun(2, 512), new PageRun(514, 510)), slices);
  }

  private static GuestLayout wide(int pages) {
    return new GuestLayout("wide", List.of(new GuestRegion(0, Pages.bytes(pages), 0)));
  }

  private static long sliceOf(PageRun run) {
    return run.firstPage() / 512;
  }

  @Test
  void whereTheGuestAskedLastComesFirstAndThenWhatIsBehindIt() {
    StreamCursor cursor = new StreamCursor(wide(512 * 100), false);
    cursor.next();

    cursor.faulted(512 * 40 + 7);
    cursor.faulted(512 * 70 + 511);
    List<Long> order = new ArrayList<>();
    for (int i = 0; i < 8; i++) {
      order.add(sliceOf(cursor.next()));
    }

    assertEquals(List.of(70L, 71L, 1L, 40L, 41L, 2L, 3L, 4L), order);
  }

  @Test
  void whatIsInOrderComesHoweverManyFaultsThereAre() {
    StreamCursor cursor = new StreamCursor(wide(512 * 100), false);
    List<Long> order = new ArrayList<>();
    for (int i = 0; i < 40; i++) {
      cursor.faulted(512L * (99 - i));
      order.add(sliceOf(cursor.next()));
    }

    assertTrue(order.containsAll(List.of(0L, 1L, 2L, 3L, 4L, 5L, 6L, 7L, 8L, 9L)));
    assertFalse(order.contains(10L));
  }

  @Test
  void aFaultWhoseNeighboursHaveComeChangesNothing() {
    StreamCursor cursor = new StreamCursor(wide(512 * 10), false);
    for (int i = 0; i < 6; i++) {
      cursor.next();
    }

    cursor.faulted(512 * 3);

    assertEquals(6, sliceOf(cursor.next()));
  }

  @Test
  void everySliceIsDealtOnceWhateverIsAskedFor() {
    for (int seed = 0; seed < 200; seed++) {
      Random random = new Random(seed);
      GuestLayout layout = drawn(random);
      StreamCursor cursor = new StreamCursor(layout, false);
      BitSet dealt = new BitSet();
      for (PageRun slice = cursor.next(); slice != null; slice = cursor.next()) {
        for (long page = slice.firstPage(); page < slice.endPage(); page++) {
          assertFalse(dealt.get((int) page), "seed " + seed);
          dealt.set((int) page);
        }
        for (int faults = random.nextInt(30); faults > 0; faults--) {
          cursor.faulted(random.nextInt((int) layout.pageCount()));
        }
      }
      assertEquals(layout.pageCount(), dealt.cardinality(), "seed " + seed);
    }
  }

  private static GuestLayout drawn(Random random) {
    List<GuestRegion> regions = new ArrayList<>();
    long address = 0;
    long offset = 0;
    for (int i = 0; i < 1 + random.nextInt(4); i++) {
      address += Pages.bytes(random.nextInt(700));
      long bytes = Pages.bytes(1 + random.nextInt(3000));
      regions.add(new GuestRegion(address, bytes, offset));
      address += bytes;
      offset += bytes;
    }
    return new GuestLayout("drawn", regions);
  }

  @Test
  void allAreDealtAgainAfterABreak() {
    StreamCursor cursor = new StreamCursor(wide(512 * 3), false);
    cursor.faulted(512 * 2);
    allOf(cursor);

    cursor.startOver();

    assertEquals(3, allOf(cursor).size());
  }

  private static List<PageRun> allOf(StreamCursor cursor) {
    List<PageRun> slices = new ArrayList<>();
    for (PageRun slice = cursor.next(); slice != null; slice = cursor.next()) {
      slices.add(slice);
    }
    return slices;
  }

  @Test
  @Timeout(30)
  void severalStreamsAreDealtEveryPageOnce() {
    int pages = 1 << 16;
    StreamCursor cursor = new StreamCursor(wide(pages), false);
    AtomicIntegerArray dealt = new AtomicIntegerArray(pages);

    CompletableFuture.allOf(
            IntStream.range(0, 4)
                .mapToObj(i -> CompletableFuture.runAsync(() -> deal(cursor, dealt)))
                .toArray(CompletableFuture[]::new))
        .join();

    assertTrue(IntStream.range(0, pages).allMatch(page -> dealt.get(page) == 1));
  }

  private static void deal(StreamCursor cursor, AtomicIntegerArray dealt) {
    for (PageRun slice = cursor.next(); slice != null; slice = cursor.next()) {
      for (long page = slice.firstPage(); page < slice.endPage(); page++) {
        dealt.incrementAndGet((int) page);
      }
    }
  }

  @Test
  void pausingIsRemembered() {
    StreamCursor cursor = new StreamCursor(SmallGuest.LAYOUT, true);

    assertTrue(cursor.isPaused());
    cursor.pause(false);

    assertFalse(cursor.isPaused());
  }
}
