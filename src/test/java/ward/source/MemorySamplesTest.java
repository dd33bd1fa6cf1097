package ward.source;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.UUID;
import jnr.constants.platform.Errno;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import ward.memory.MemoryIdentity;
import ward.memory.PageSample;
import ward.memory.PageSet;
import ward.poison.Origin;

class MemorySamplesTest {

  private static final UUID SESSION = new UUID(0x1234_5678_9abc_def0L, 77);

  @TempDir Path directory;

  private Bench bench;
  private MemorySamples samples;

  @BeforeEach
  void open() throws IOException {
    bench = new Bench(directory);
    samples = new MemorySamples(bench.parts);
  }

  @AfterEach
  void close() throws Exception {
    bench.close();
  }

  private static long page(PageSample sample) {
    return SmallGuest.LAYOUT.pageAt(sample.address()).orElseThrow();
  }

  private static List<Long> pages(MemoryIdentity identity) {
    return identity.samples().stream().map(MemorySamplesTest::page).toList();
  }

  @Test
  void pagesThatAreNotAllZerosAreDrawnFromTheSession() throws Exception {
    MemoryIdentity first = samples.draw(SESSION);

    assertThat(first.samples()).hasSize(64);
    assertThat(pages(first)).noneMatch(page -> SmallGuest.isZero(page.intValue()));
    assertThat(samples.draw(SESSION)).isEqualTo(first);
    assertThat(pages(samples.draw(new UUID(1, 2)))).isNotEqualTo(pages(first));
  }

  @Test
  void whatIsLostOrUnreadableIsLeftOutAndOnlyALossIsRecorded() throws Exception {
    List<Long> drawn = pages(samples.draw(SESSION));
    bench.lost.record(List.of(SmallGuest.entry(drawn.get(0))));
    bench.guest.spoil(drawn.get(1), Errno.EHWPOISON);
    bench.guest.spoil(drawn.get(2), Errno.EFAULT);

    MemoryIdentity now = samples.draw(SESSION);

    assertThat(pages(now)).doesNotContain(drawn.get(0), drawn.get(1), drawn.get(2)).hasSize(64);
    assertThat(bench.guest.journal.ledger().frames())
        .isEqualTo(SmallGuest.frames(drawn.get(0), drawn.get(1)));
    assertThat(bench.guest.journal.ledger().effectiveEntries())
        .filteredOn(entry -> entry.origin().discovery() == Origin.Discovery.UNREADABLE)
        .hasSize(1);
  }

  @Test
  void theSamePagesAreLookedAtAgain() throws Exception {
    MemoryIdentity first = samples.draw(SESSION);
    long gone = pages(first).get(9);
    bench.guest.spoil(gone, Errno.EHWPOISON);

    MemoryIdentity again = samples.again(first);

    assertThat(again.samples()).hasSize(63).isSubsetOf(first.samples());
    assertThat(pages(again)).doesNotContain(gone);
    assertThat(first.contradiction(again)).isEmpty();
  }

  @Test
  void aGuestWithFewPagesLeftIsKnownByThose() throws Exception {
    PageSet zeros = new PageSet();
    for (int page = 0; page < SmallGuest.PAGES; page++) {
      if (page == 0 || page > 12) {
        bench.lost.record(List.of(SmallGuest.entry(page)));
      } else if (SmallGuest.isZero(page)) {
        zeros.add(page);
      }
    }

    List<Long> drawn = pages(samples.draw(SESSION));

    assertThat(drawn).containsExactlyInAnyOrder(1L, 2L, 3L, 4L, 5L, 6L, 7L, 8L, 9L, 10L, 11L, 12L);
    assertThat(drawn.subList(9, 12)).allMatch(zeros::contains);
  }
}
