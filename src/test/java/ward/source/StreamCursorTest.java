package ward.source;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
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
    StreamCursor cursor =
        new StreamCursor(
            new GuestLayout("wide", List.of(new GuestRegion(0, Pages.bytes(pages), 0))), false);
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
