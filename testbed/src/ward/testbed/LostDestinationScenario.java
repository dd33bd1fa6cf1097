package ward.testbed;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.IOException;
import java.time.Duration;
import java.util.List;
import java.util.SplittableRandom;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import ward.memory.GuestLayout;
import ward.memory.GuestRegion;
import ward.memory.PageRun;
import ward.memory.PageSet;
import ward.memory.Pages;
import ward.wire.ConnectionKind;

/**
 * The guest's memory and its threads belong to a process of their own, and outlive the daemons that
 * fill it: every one that is killed is followed by one that goes on where it was.
 */
@Timeout(value = 300, unit = TimeUnit.SECONDS)
class LostDestinationScenario {

  private static final long MEMORY_BYTES = 16 << 20;
  private static final Duration TIME = Duration.ofMinutes(4);
  private static final int KILLS = 4;

  /** Most daemons have got as far as the stream by then. */
  private static final int MILLIS_MAX = 1_500;

  private static final Duration LONG = Duration.ofMinutes(3);

  private static LoopbackSettings withEveryLoss() {
    return new LoopbackSettings(MEMORY_BYTES, 2, 9, 5, 4, 25, "thread", TIME);
  }

  private static void assertWhole(OwnedRun run, LoopbackResult result) {
    assertEquals(List.of(), result.failures(), run::logs);
    assertEquals(result.digestSource(), result.digestDestination());
  }

  private static Fault stall(ConnectionKind kind, Fault.Trigger where) {
    return new Fault(kind, LinkDirection.TO_DESTINATION, where, new Fault.Stall(LONG), 1);
  }

  /** On the control connection; the numbers count from the Hello. */
  private static Fault stallBeforeMessage(int number) {
    return stall(ConnectionKind.CONTROL, new Fault.InBody(Fault.MESSAGE, number, 0));
  }

  @Test
  void aGuestArrivesInTheMemoryOfAnotherProcess() throws IOException {
    try (OwnedRun run = new OwnedRun(withEveryLoss())) {
      run.begin();
      run.startDaemon();
      run.awaitAnswers(50);
      run.source.reportLatePoison();
      run.stream();

      LoopbackResult result = run.verdict();

      assertWhole(run, result);
      run.awaitOwnerSays("farewell true");
    }
  }

  @Test
  void oneAfterTheOtherIsKilledWhileThreadsWaitAndInTheStreamAndTheThirdFinishes()
      throws IOException {
    try (OwnedRun run = new OwnedRun(withEveryLoss())) {
      run.begin();
      try (FaultyLink link = run.linkInBetween()) {
        link.inject(stall(ConnectionKind.STREAM, new Fault.AtByte(3_000_000)));
        Daemon first = run.startDaemon();
        run.awaitAnswers(50);
        run.source.reportLatePoison();

        first.kill();
        Daemon second = run.startDaemon();
        run.awaitLog("RECOVERING -> RUNNING");
        run.stream();
        run.awaitUnresolvedBelow(0.9);
        second.kill();
        long readBefore = run.holder().touchCount();
        run.startDaemon();
        LoopbackResult result = run.verdict();

        assertWhole(run, result);
        assertThat(readBefore).isLessThan(run.holder().touchCount());
        assertThat(run.logs())
            .containsSubsequence("took over session", "--- daemon", "took over session");
      }
    }
  }

  /** Its successor finds the source out of reach, and is killed too. */
  @Test
  void oneThatIsKilledWhileItRecoversIsFollowedByOneThatRecovers() throws IOException {
    try (OwnedRun run = new OwnedRun(withEveryLoss())) {
      run.begin();
      try (FaultyLink link = run.linkInBetween()) {
        Daemon first = run.startDaemon();
        run.awaitAnswers(50);
        run.source.reportLatePoison();

        link.refuse();
        first.kill();
        Daemon second = run.startDaemon();
        run.awaitPhase("RECOVERING");
        second.kill();
        link.accept();
        run.startDaemon();
        run.stream();

        assertWhole(run, run.verdict());
      }
    }
  }

  @Test
  void oneThatIsKilledBeforeItHearsThatTheGuestMayRunIsFollowedByOneThatRunsIt()
      throws IOException {
    try (OwnedRun run = new OwnedRun(withEveryLoss())) {
      run.begin();
      try (FaultyLink link = run.linkInBetween()) {
        link.inject(stallBeforeMessage(5)); // GuestReleased
        Daemon first = run.startDaemon();
        run.deadline.await("the fault", () -> link.count(Fault.Stall.class) == 1);
        assertThat(run.holder().hasSaid("resumed")).isFalse();

        first.kill();
        run.startDaemon();
        run.awaitAnswers(50);
        run.source.reportLatePoison();
        run.stream();

        assertWhole(run, run.verdict());
        assertThat(run.logs()).contains("left in stage MAP_APPLIED");
      }
    }
  }

  /** Nobody has promised anything yet: the guest stays at the source, and sets out anew. */
  @Test
  void oneThatIsKilledBeforeThePoisonMapIsInPlaceLeavesTheMemoryToANewMigration()
      throws IOException {
    try (OwnedRun run = new OwnedRun(withEveryLoss())) {
      run.begin();
      try (FaultyLink link = run.linkInBetween()) {
        link.inject(stallBeforeMessage(4)); // PoisonMapEnd
        Daemon first = run.startDaemon();
        run.deadline.await("the fault", () -> link.count(Fault.Stall.class) == 1);

        first.kill();
        run.sourceAgain();
        run.startDaemon();
        run.awaitAnswers(50);
        run.source.reportLatePoison();
        run.stream();

        assertWhole(run, run.verdict());
      }
    }
  }

  /** The source never heard that the map is in place: it has given the session up, and ended. */
  @Test
  void oneWhoseSourceKnowsNothingOfItsSessionLeavesTheMemoryToANewMigration() throws IOException {
    try (OwnedRun run = new OwnedRun(withEveryLoss())) {
      run.begin();
      try (FaultyLink link = run.linkInBetween()) {
        Fault.Trigger mapApplied = new Fault.InBody(Fault.MESSAGE, 2, 0);
        link.inject(
            new Fault(
                ConnectionKind.CONTROL,
                LinkDirection.TO_SOURCE,
                mapApplied,
                new Fault.ResetAll(),
                1));
        Daemon first = run.startDaemon();
        run.awaitPhase("RECOVERING");

        first.kill();
        run.sourceAgain();
        int disowned = run.startDaemon().await(run.deadline);
        run.startDaemon();
        run.awaitAnswers(50);
        run.source.reportLatePoison();
        run.stream();

        assertEquals(6, disowned);
        assertWhole(run, run.verdict());
      }
    }
  }

  /**
   * The event of pages that were given back, and those of threads that wait, are read by somebody
   * who dies of it: what the next daemon knows of the pages, it knows from the memory's owner.
   */
  @Test
  void whatWasGivenBackIsNotForgottenWithTheDaemonThatHeardOfIt() throws IOException {
    try (OwnedRun run = new OwnedRun(withEveryLoss())) {
      run.begin();
      Daemon first = run.startDaemon();
      run.awaitAnswers(50);
      run.source.reportLatePoison();
      long lost = lowest(run.source.lost());
      PageSet givenBack = new PageSet();
      givenBack.add(new PageRun(lost - 8, 16));

      first.kill();
      long address = run.guest.layout().addressOf(lost - 8);
      run.holder().command("give-back 0x%x 16", address);
      run.deadline.await(
          "the pages to go",
          () -> {
            run.holder().command("swallow");
            return run.holder().hasSaid("gave back 0x%x 16".formatted(address));
          });
      run.startDaemon();
      run.awaitLog("RECOVERING -> RUNNING");
      run.stream();
      LoopbackResult result = run.verdict(givenBack);

      assertWhole(run, result);
      assertThat(run.holder().said()).contains("swallowed 1 removals");
    }
  }

  /** Of the guest's own memory, behind its tables and its programs. */
  private static long lowest(PageSet lost) {
    long[] lowest = {Long.MAX_VALUE};
    lost.forEach(page -> lowest[0] = Math.min(lowest[0], page));
    return lowest[0];
  }

  /** The source is gone by then, and the guest still gives pages back. */
  @Test
  void oneThatIsKilledWhenAllIsHereIsFollowedByOneThatServesWhatIsGivenBack() throws IOException {
    try (OwnedRun run = new OwnedRun(withEveryLoss())) {
      run.begin();
      Daemon first = run.startDaemon();
      run.awaitAnswers(50);
      run.source.reportLatePoison();
      run.stream();
      run.awaitEnd();
      run.source.await(run.deadline);
      long lost = lowest(run.source.lost());
      long lostAddress = run.guest.layout().addressOf(lost);
      long healthyAddress = lostAddress + Pages.SIZE_BYTES;

      first.kill();
      run.holder().command("give-back 0x%x 2", lostAddress);
      run.startDaemon();
      run.awaitPhase("COMPLETE");
      run.deadline.await(
          "the pages to go", () -> run.holder().hasSaid("gave back 0x%x 2".formatted(lostAddress)));
      run.holder().command("touch 0x%x", lostAddress);
      run.holder().command("touch 0x%x", healthyAddress);

      assertThat(run.source.lost().contains(lost + 1)).isFalse();
      run.deadline.await(
          "the lost page to be lost",
          () -> run.holder().hasSaid("touched 0x%x poisoned".formatted(lostAddress)));
      run.deadline.await(
          "the healthy page to be zeros",
          () ->
              run.holder()
                  .hasSaid("touched 0x%x %s".formatted(healthyAddress, run.zeroHash(lost + 1))));
    }
  }

  /** Wherever that is: while it starts, connects, takes over, streams, hands over, or is done. */
  @ParameterizedTest
  @ValueSource(longs = {1, 2})
  void whereverDaemonsAreKilledTheLastOneFinishes(long seed) throws Exception {
    SplittableRandom random = new SplittableRandom(seed);
    try (OwnedRun run = new OwnedRun(withEveryLoss())) {
      run.begin();
      run.startDaemon();
      run.awaitAnswers(50);
      run.source.reportLatePoison();
      run.stream();
      for (int i = 0; i < KILLS; i++) {
        Thread.sleep(random.nextInt(MILLIS_MAX));
        run.killDaemon();
        run.startDaemon("--source-loss-after", "20");
      }

      assertWhole(run, run.verdict());
    }
  }

  @Test
  void whenTheOwnerDiesTheGuestDiesWithItAndTheDaemonSaysSo() throws IOException {
    try (OwnedRun run = new OwnedRun(withEveryLoss())) {
      run.begin();
      Daemon daemon = run.startDaemon();
      run.awaitAnswers(50);

      run.holder().kill();

      assertEquals(7, daemon.await(run.deadline));
      assertThat(daemon.errors())
          .contains(
              "the memory owner, process %d, is gone".formatted(run.holder().pid()),
              "the guest has ended here");
    }
  }

  @Test
  void memoryOfAnotherShapeIsRefusedByNameOnEverySide() throws IOException {
    try (OwnedRun run = new OwnedRun(withEveryLoss())) {
      GuestLayout half =
          new GuestLayout(
              run.guest.layout().guest(), List.of(new GuestRegion(0, MEMORY_BYTES / 2, 0)));
      String reason =
          "guest %s has RAM at %s at the source, and at [0x0..0x800000] in the memory owner"
              .formatted(half.guest(), places(run.guest.layout()));
      run.begin(half);

      Daemon daemon = run.startDaemon();

      assertEquals(3, daemon.await(run.deadline));
      assertThat(daemon.errors()).contains(reason);
      assertThat(run.source.await(run.deadline)).isNotZero();
      assertThat(run.source.errors()).contains(reason);
      run.awaitOwnerSays("refused: " + reason);
    }
  }

  private static List<String> places(GuestLayout layout) {
    return layout.regions().stream()
        .map(r -> "0x%x..0x%x".formatted(r.guestPhysicalAddress(), r.endAddress()))
        .toList();
  }

  @Test
  void aSecondDaemonAndALedgerThatKnowsNothingAreRefused() throws IOException {
    try (OwnedRun run = new OwnedRun(withEveryLoss())) {
      run.begin();
      Daemon first = run.startDaemon();
      run.awaitAnswers(50);

      Daemon second = run.startDaemon();
      int whileAttached = second.await(run.deadline);
      first.kill();
      Daemon third = run.startDaemon("--ledger", run.directory.resolve("other").toString());
      int withoutLedger = third.await(run.deadline);
      run.startDaemon();
      run.stream();

      assertEquals(4, whileAttached);
      assertThat(second.errors()).contains("another daemon is attached");
      assertEquals(3, withoutLedger);
      assertThat(third.errors()).contains("knows of no migration that brought it there");
      run.awaitEnd();
    }
  }

  /** It could not tell a marker from a swapped page. */
  @Test
  void whoMayNotSeeMarkersIsToldSoBeforeAnythingIsDone() throws IOException {
    try (OwnedRun run = new OwnedRun(withEveryLoss())) {
      run.begin();

      Daemon blind =
          run.startDaemonBy(
              List.of("setpriv", "--bounding-set", "-sys_admin", "--inh-caps", "-sys_admin"));

      assertEquals(4, blind.await(run.deadline));
      assertThat(blind.errors()).contains("without CAP_SYS_ADMIN", "Run with CAP_SYS_ADMIN");
      run.awaitOwnerSays("refused: a poison marker made for comparison");
      assertThat(run.source.status().get("phase").asText()).isEqualTo("LISTENING");
    }
  }
}
