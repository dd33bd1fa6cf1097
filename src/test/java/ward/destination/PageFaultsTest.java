package ward.destination;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import jnr.constants.platform.Errno;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import ward.destination.PageTable.State;
import ward.memory.GuestLayout;
import ward.memory.PageRun;
import ward.uffd.FillResult.Outcome;
import ward.wire.PageRequest;
import ward.wire.ProtocolException;

@Timeout(20)
class PageFaultsTest {

  private final FakeFiller filler = new FakeFiller();
  private final Fixture fixture = new Fixture(filler, 16);
  private final PageFaults faults = fixture.faults;

  @Test
  void asksOnceHoweverOftenAPageFaults() {
    fixture.fault(3);
    fixture.fault(3);
    fixture.fault(3);

    assertThat(fixture.requests).containsExactly(new PageRequest(1, Fixture.gpa(3), 1));
    assertThat(fixture.table.get(3)).isEqualTo(State.REQUESTED);
  }

  @Test
  void asksOnceWhenManyThreadsFaultOnTheSamePages() throws Exception {
    GuestLayout layout = Fixture.layout(2_000);
    List<PageRequest> requests = Collections.synchronizedList(new ArrayList<>());
    Fixture parts = new Fixture(filler, 2_000);
    PageFaults shared =
        new PageFaults(
            layout,
            parts.table,
            parts.resolver,
            parts.givenBack,
            parts.givenUp,
            parts,
            () -> Fixture.line(1, requests));
    ExecutorService vcpus = Executors.newFixedThreadPool(4);
    List<Future<?>> running = new ArrayList<>();
    for (int i = 0; i < 4; i++) {
      running.add(vcpus.submit(() -> touchAll(shared, parts)));
    }
    for (Future<?> vcpu : running) {
      vcpu.get();
    }
    vcpus.shutdown();

    assertThat(requests).hasSize(2_000).doesNotHaveDuplicates();
    assertThat(requests.stream().map(PageRequest::guestPhysicalAddress)).doesNotHaveDuplicates();
    assertThat(requests.stream().map(PageRequest::requestId)).doesNotHaveDuplicates();
  }

  private static void touchAll(PageFaults faults, Fixture parts) {
    for (long page = 0; page < 2_000; page++) {
      faults.onFault(page, parts.failures::add);
    }
  }

  @Test
  void refusesAnAnswerNobodyAskedForWithItsNumbers() {
    fixture.fault(3);

    assertThatThrownBy(() -> faults.expected(9, Fixture.gpa(3), 1))
        .isInstanceOf(ProtocolException.class)
        .hasMessage(
            "an answer nobody asked for: request 9, guest-physical address 0x103000, 1 pages; 1 requests are open");
  }

  @Test
  void refusesAnAnswerAboutAnotherPageThanTheRequest() {
    fixture.fault(3);

    assertThatThrownBy(() -> faults.expected(1, Fixture.gpa(4), 1))
        .isInstanceOf(ProtocolException.class)
        .hasMessageContaining("request 1, guest-physical address 0x104000");
    assertThatThrownBy(() -> faults.expected(1, Fixture.gpa(3), 2))
        .isInstanceOf(ProtocolException.class)
        .hasMessageContaining("2 pages");
  }

  @Test
  void anAnswerIsExpectedOnce() {
    fixture.fault(3);

    assertThat(faults.expected(1, Fixture.gpa(3), 1)).isEqualTo(3);
    faults.answered(1, 1);

    assertThatThrownBy(() -> faults.expected(1, Fixture.gpa(3), 1))
        .isInstanceOf(ProtocolException.class);
  }

  @Test
  void asksAgainUnderANewNumberAndOnlyOnce() {
    fixture.fault(3);

    faults.askAgain(1);
    faults.askAgain(1);

    assertThat(fixture.requests)
        .containsExactly(
            new PageRequest(1, Fixture.gpa(3), 1), new PageRequest(2, Fixture.gpa(3), 1));
    assertThat(fixture.table.get(3)).isEqualTo(State.REQUESTED);
  }

  @Test
  void doesNotAskAgainForAPageThatCameMeanwhile() throws Exception {
    fixture.fault(3);
    fixture.resolver.zero(new PageRun(3, 1));

    faults.askAgain(1);

    assertThat(fixture.requests).hasSize(1);
  }

  @Test
  void wakesWhoeverTouchesAPageThatIsThere() throws Exception {
    fixture.resolver.zero(new PageRun(3, 1));
    filler.woken.clear();

    fixture.fault(3);

    assertThat(filler.woken).containsExactly(3L);
    assertThat(filler.calls).containsExactly("zero 3+1");
  }

  /**
   * The kernel lets a fault wait that began before the marker was placed and had not queued yet.
   */
  @Test
  void wakesWhoeverBeganToWaitAfterTheMarkerOfItsPage() throws Exception {
    assertThat(fixture.table.poison(3)).isTrue();
    fixture.resolver.poison(new PageRun(3, 1));
    filler.woken.clear();

    fixture.fault(3);

    assertThat(filler.woken).containsExactly(3L);
  }

  @Test
  void leavesAFaultToTheMarkerThatIsStillToCome() {
    assertThat(fixture.table.poison(3)).isTrue();

    fixture.fault(3);

    assertThat(filler.woken).isEmpty();
    assertThat(fixture.requests).isEmpty();
  }

  @Test
  void reportsThatAPageGivenBackCannotBeFilled() {
    fixture.giveBack(new PageRun(3, 1));
    filler.then(Outcome.PROCESS_GONE, 0, Errno.ESRCH);

    fixture.fault(3);

    assertThat(fixture.failures).hasSize(1);
    assertThat(fixture.failures.get(0)).isInstanceOf(ResolveException.class);
  }

  @Test
  void whatCouldNotBeSentIsSentByTheNextConnectionWithTheSameNumber() {
    fixture.attempt = 0;
    fixture.fault(3);
    fixture.fault(4);
    assertThat(fixture.requests).isEmpty();

    fixture.attempt = 2;
    faults.askAll();

    assertThat(fixture.requests).containsExactly(new PageRequest(1, Fixture.gpa(3), 2));
  }

  @Test
  void eachConnectionCarriesARequestOnce() {
    fixture.fault(3);
    faults.askAll();
    assertThat(fixture.requests).hasSize(1);

    fixture.attempt = 2;
    faults.askAll();
    faults.askAll();

    assertThat(fixture.requests)
        .containsExactly(
            new PageRequest(1, Fixture.gpa(3), 1), new PageRequest(1, Fixture.gpa(3), 1));
  }

  @Test
  void whatWasAnsweredIsNotAskedAgain() {
    fixture.fault(3);
    faults.answered(1, 1);

    fixture.attempt = 2;
    faults.askAll();

    assertThat(fixture.requests).hasSize(1);
  }

  private PageRun unit() {
    PageRun unit = new PageRun(0, 16);
    faults.ask(unit);
    return unit;
  }

  @Test
  void asksForPagesNextToEachOtherByOneFrameAndOnce() {
    unit();
    unit();

    assertThat(fixture.requests).containsExactly(new PageRequest(1, Fixture.gpa(0), 16));
  }

  @Test
  void leavesOutWhatHasBeenAskedForOrHasCome() throws Exception {
    fixture.fault(3);
    fixture.resolver.zero(new PageRun(8, 2));

    unit();

    assertThat(fixture.requests)
        .containsExactly(
            new PageRequest(1, Fixture.gpa(3), 1),
            new PageRequest(2, Fixture.gpa(0), 3),
            new PageRequest(5, Fixture.gpa(4), 4),
            new PageRequest(9, Fixture.gpa(10), 6));
  }

  @Test
  void eachPageOfARunHasANumberOfItsOwn() {
    unit();

    assertThat(faults.expected(1, Fixture.gpa(0), 4)).isZero();
    faults.answered(1, 4);
    assertThat(faults.expected(5, Fixture.gpa(4), 1)).isEqualTo(4);
    assertThat(faults.expected(6, Fixture.gpa(5), 11)).isEqualTo(5);
    assertThat(faults.openCount()).isEqualTo(12);
  }

  @Test
  void refusesAnAnswerThatGoesBeyondWhatWasAskedOrIsAnsweredAlready() {
    faults.ask(new PageRun(2, 4));
    faults.answered(4, 1);

    assertThatThrownBy(() -> faults.expected(1, Fixture.gpa(2), 4))
        .isInstanceOf(ProtocolException.class)
        .hasMessageContaining("request 1, guest-physical address 0x102000, 4 pages");
    assertThatThrownBy(() -> faults.expected(1, Fixture.gpa(2), 512))
        .isInstanceOf(ProtocolException.class);
    assertThatThrownBy(() -> faults.expected(2, Fixture.gpa(2), 1))
        .isInstanceOf(ProtocolException.class);
    assertThat(faults.expected(1, Fixture.gpa(2), 3)).isEqualTo(2);
  }

  @Test
  void theNextConnectionIsAskedForTheRestOfARunOnly() {
    unit();
    faults.answered(1, 6);
    faults.answered(10, 1);

    fixture.attempt = 2;
    faults.askAll();

    assertThat(fixture.requests)
        .containsExactly(
            new PageRequest(1, Fixture.gpa(0), 16),
            new PageRequest(7, Fixture.gpa(6), 3),
            new PageRequest(11, Fixture.gpa(10), 6));
  }

  @Test
  void pagesOfOneRunAreAskedForAgainOnTheirOwn() {
    unit();

    faults.askAgain(7);

    assertThat(fixture.requests.get(1)).isEqualTo(new PageRequest(17, Fixture.gpa(6), 1));
    assertThatThrownBy(() -> faults.expected(6, Fixture.gpa(5), 3))
        .isInstanceOf(ProtocolException.class);
  }
}
