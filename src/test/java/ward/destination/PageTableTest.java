package ward.destination;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import ward.destination.PageTable.State;

@Timeout(20)
class PageTableTest {

  private static final int WRITERS = 8;
  private static final int PAGES = 20_000;

  @Test
  void aGuestOf16TebibytesIsCountedWithoutOverflow() {
    PageTable table = new PageTable(1L << 32);
    long last = (1L << 32) - 1;

    boolean won = table.claim(last);

    assertThat(won).isTrue();
    assertThat(table.get(last)).isEqualTo(State.PRESENT);
    assertThat(table.get(last - 1)).isEqualTo(State.MISSING);
    assertThat(table.get(0)).isEqualTo(State.MISSING);
    assertThat(table.get(1L << 31)).isEqualTo(State.MISSING);
  }

  @Test
  void theLastPageThatAnAddressOf2To48BytesCanNameHasItsOwnState() {
    PageTable table = new PageTable(1L << 36);
    long last = (1L << 36) - 1;

    table.poison(last);

    assertThat(table.get(last)).isEqualTo(State.POISONED);
    assertThat(table.get(last & 0xffff_ffffL)).isEqualTo(State.MISSING);
    assertThatThrownBy(() -> table.get(1L << 36))
        .isInstanceOf(IndexOutOfBoundsException.class)
        .hasMessage("page 68719476736 of 68719476736");
  }

  @Test
  void poisonIsNeverLeft() {
    PageTable table = new PageTable(1);
    table.poison(0);

    assertThat(table.request(0)).isFalse();
    assertThat(table.claim(0)).isFalse();
    assertThat(table.poison(0)).isFalse();
    assertThat(table.get(0)).isEqualTo(State.POISONED);
  }

  @Test
  void contentThatIsThereIsNeitherAskedForNorPoisoned() {
    PageTable table = new PageTable(1);
    table.claim(0);

    assertThat(table.request(0)).isFalse();
    assertThat(table.poison(0)).isFalse();
    assertThat(table.get(0)).isEqualTo(State.PRESENT);
  }

  @Test
  void aPageThatWasAskedForCanStillEndEitherWay() {
    PageTable table = new PageTable(2);
    table.request(0);
    table.request(1);

    assertThat(table.request(0)).isFalse();
    assertThat(table.claim(0)).isTrue();
    assertThat(table.poison(1)).isTrue();
  }

  @Test
  void ofManyThreadsThatWantAPageExactlyOneGetsIt() throws Exception {
    PageTable table = new PageTable(PAGES);
    ExecutorService threads = Executors.newFixedThreadPool(WRITERS);
    CountDownLatch start = new CountDownLatch(WRITERS);
    List<Future<byte[]>> wins = new ArrayList<>();
    for (int writer = 0; writer < WRITERS; writer++) {
      int number = writer;
      wins.add(threads.submit(() -> winsOf(number, table, start)));
    }

    int[] winners = new int[PAGES];
    int poisonedByWinner = 0;
    for (Future<byte[]> future : wins) {
      byte[] won = future.get();
      for (int page = 0; page < PAGES; page++) {
        winners[page] += won[page] != 0 ? 1 : 0;
        if (won[page] == 2) {
          poisonedByWinner++;
          assertThat(table.get(page)).as("page %d", page).isEqualTo(State.POISONED);
        } else if (won[page] == 1) {
          assertThat(table.get(page)).as("page %d", page).isEqualTo(State.PRESENT);
        }
      }
    }
    threads.shutdown();

    assertThat(winners).containsOnly(1);
    assertThat(poisonedByWinner).isPositive().isLessThan(PAGES);
  }

  @Test
  void pagesNextToEachOtherAreClaimedUpToTheFirstThatHasItsWriter() {
    PageTable table = new PageTable(1000);
    table.request(40);
    table.poison(700);

    assertThat(table.claim(5, 1000)).isEqualTo(695);
    assertThat(table.claim(5, 1000)).isZero();
    assertThat(table.claim(701, 1000)).isEqualTo(299);

    assertThat(table.get(4)).isEqualTo(State.MISSING);
    assertThat(table.get(40)).isEqualTo(State.PRESENT);
    assertThat(table.get(700)).isEqualTo(State.POISONED);
    assertThat(table.get(999)).isEqualTo(State.PRESENT);
  }

  @Test
  void ofThreadsThatClaimRunsAndThreadsThatPoisonPagesExactlyOneGetsEachPage() throws Exception {
    PageTable table = new PageTable(PAGES);
    ExecutorService threads = Executors.newFixedThreadPool(4);
    CountDownLatch start = new CountDownLatch(4);
    List<Future<int[]>> wins = new ArrayList<>();
    for (int writer = 0; writer < 4; writer++) {
      int number = writer;
      wins.add(
          threads.submit(
              () -> {
                start.countDown();
                start.await();
                return number % 2 == 0 ? runsClaimed(table) : pagesPoisoned(table, number);
              }));
    }

    int[] winners = new int[PAGES];
    for (Future<int[]> future : wins) {
      int[] won = future.get();
      for (int page = 0; page < PAGES; page++) {
        winners[page] += won[page] == 0 ? 0 : 1;
        if (won[page] != 0) {
          State state = won[page] == 1 ? State.PRESENT : State.POISONED;
          assertThat(table.get(page)).as("page %d", page).isEqualTo(state);
        }
      }
    }
    threads.shutdown();

    assertThat(winners).containsOnly(1);
  }

  private static int[] runsClaimed(PageTable table) {
    int[] won = new int[PAGES];
    for (int page = 0; page < PAGES; ) {
      int claimed = (int) table.claim(page, Math.min(PAGES, page + 512));
      Arrays.fill(won, page, page + claimed, 1);
      page += claimed + 1;
    }
    return won;
  }

  private static int[] pagesPoisoned(PageTable table, int number) {
    int[] won = new int[PAGES];
    for (int page = PAGES - 1; page >= 0; page--) {
      if (page % 7 == number && table.poison(page)) {
        won[page] = 2;
      }
    }
    return won;
  }

  /** 1 where this writer's claim won, 2 where its poison did. */
  private static byte[] winsOf(int writer, PageTable table, CountDownLatch start) throws Exception {
    byte[] won = new byte[PAGES];
    start.countDown();
    start.await();
    for (int page = 0; page < PAGES; page++) {
      table.request(page);
      if (((page + writer) & 1) == 0) {
        won[page] = (byte) (table.claim(page) ? 1 : 0);
      } else {
        won[page] = (byte) (table.poison(page) ? 2 : 0);
      }
    }
    return won;
  }
}
