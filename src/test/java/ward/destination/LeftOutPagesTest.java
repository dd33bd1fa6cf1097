package ward.destination;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import java.util.stream.LongStream;
import org.junit.jupiter.api.Test;
import ward.memory.PageRun;
import ward.memory.Pages;
import ward.wire.PageRequest;

class LeftOutPagesTest {

  private static final int MAX = LeftOutPages.OPEN_MAX;

  private final Fixture fixture = new Fixture(new FakeFiller(), 2L * MAX + 10);
  private final LeftOutPages leftOut = new LeftOutPages();

  private boolean ask() {
    return leftOut.ask(fixture.table, fixture.faults, fixture.failures::add);
  }

  private static List<Long> pages(List<PageRequest> requests) {
    return requests.stream().map(LeftOutPagesTest::page).toList();
  }

  private static long page(PageRequest request) {
    return (request.guestPhysicalAddress() - Fixture.GPA) >>> Pages.SHIFT;
  }

  private static List<Long> range(long first, long end) {
    return LongStream.range(first, end).boxed().toList();
  }

  /** As content that came. */
  private void answer(PageRequest request) throws ResolveException {
    fixture.resolver.zero(new PageRun(page(request), 1));
    fixture.faults.answered(request.requestId());
  }

  @Test
  void noMoreAreAskedForThanMayBeOpen() {
    boolean more = ask();
    boolean moreWithoutAnAnswer = ask();

    assertThat(pages(fixture.requests)).isEqualTo(range(0, MAX));
    assertThat(more).isTrue();
    assertThat(moreWithoutAnAnswer).isTrue();
  }

  @Test
  void whatTheGuestWaitsForCountsToo() {
    for (long page = MAX; page < MAX + 100; page++) {
      fixture.fault(page);
    }

    ask();

    assertThat(fixture.requests).hasSize(MAX);
    assertThat(pages(fixture.requests).subList(100, MAX)).isEqualTo(range(0, MAX - 100));
  }

  @Test
  void everyAnswerMakesRoomForAnother() throws ResolveException {
    ask();
    for (PageRequest request : new ArrayList<>(fixture.requests.subList(0, 7))) {
      answer(request);
    }

    ask();

    assertThat(pages(fixture.requests)).isEqualTo(range(0, MAX + 7));
  }

  @Test
  void eachIsAskedForOnceUntilNoneIsLeft() throws ResolveException {
    fixture.resolver.zero(new PageRun(3, 2)); // the stream brought those

    int answered = 0;
    boolean more = ask();
    while (more && answered < fixture.requests.size()) {
      answer(fixture.requests.get(answered++));
      more = ask();
    }

    List<Long> expected = new ArrayList<>(range(0, 2L * MAX + 10));
    expected.removeAll(List.of(3L, 4L));
    assertThat(more).isFalse();
    assertThat(pages(fixture.requests)).isEqualTo(expected);
  }

  @Test
  void aGuestThatHasAllIsAskedForNothing() throws ResolveException {
    fixture.resolver.zero(new PageRun(0, 2L * MAX + 10));

    assertThat(ask()).isFalse();
    assertThat(fixture.requests).isEmpty();
  }
}
