package ward.testbed;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assertions.assertEquals;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import ward.testing.HugePages;
import ward.wire.ConnectionKind;

/** Connections that break in the middle of a migration: two real processes, and nothing is lost. */
@Timeout(value = 3, unit = TimeUnit.MINUTES)
class BrokenLinkScenario {

  private static final long MEMORY_BYTES = 16 << 20;
  private static final long HUGE_BYTES = 32 << 20;
  private static final Duration TIME = Duration.ofMinutes(2);
  private static final LinkDirection DOWN = LinkDirection.TO_DESTINATION;
  private static final LinkDirection UP = LinkDirection.TO_SOURCE;

  /** Declared, found and late losses: whatever can be said of a page is said in such a run. */
  private static LoopbackSettings withEveryLoss(String vcpu) {
    return new LoopbackSettings(MEMORY_BYTES, 2, 9, 7, 5, 23, vcpu, TIME);
  }

  /** Only what the map says is lost, so that the messages after it can be counted. */
  private static LoopbackSettings withTheMapOnly() {
    return new LoopbackSettings(MEMORY_BYTES, 2, 9, 0, 0, 24, "auto", TIME);
  }

  private interface Trouble {
    void befall(FaultyLink link) throws IOException;
  }

  /** What the destination said at the end of a migration in which nothing may be missing. */
  private static JsonNode statusAfter(LoopbackSettings settings, Trouble trouble)
      throws IOException {
    LoopbackRun.Supply here = () -> Network.plain("a link that breaks is in between");
    FaultyLink[] link = new FaultyLink[1];
    try (LoopbackRun run = new LoopbackRun(settings, line -> {}, here)) {
      run.takeDetour(
          source -> {
            link[0] = new FaultyLink(source);
            trouble.befall(link[0]);
            return link[0].address();
          });

      LoopbackResult result = run.run();

      assertEquals(List.of(), result.failures(), run::logs);
      assertEquals(result.digestSource(), result.digestDestination());
      assertThat(run.logs()).contains("RECOVERING -> ").contains("AWAITING_RETURN -> ");
      return run.lastStatus();
    } finally {
      if (link[0] != null) {
        link[0].close();
      }
    }
  }

  private static Fault.Trigger message(int number) {
    return new Fault.InBody(Fault.MESSAGE, number, 0);
  }

  /** On the control connection; the numbers count from the Hello. */
  private static Stream<Arguments> lostWords() {
    return Stream.of(
        Arguments.of("GuestReleased", DOWN, 5),
        Arguments.of("GuestResumed", UP, 3),
        Arguments.of("HandOver", UP, 4),
        Arguments.of("HandOverAccepted", DOWN, 6));
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource("lostWords")
  void aWordThatIsLostWithItsConnectionIsSaidAgain(String word, LinkDirection direction, int number)
      throws IOException {
    Fault loss =
        new Fault(ConnectionKind.CONTROL, direction, message(number), new Fault.Reset(), 1);

    JsonNode status = statusAfter(withTheMapOnly(), link -> link.inject(loss));

    assertEquals(1, status.get("breaks").get("count").asInt());
  }

  private static Stream<Arguments> brokenConnections() {
    return Stream.of(
        Arguments.of(ConnectionKind.CONTROL, DOWN, message(6)), // late poison
        Arguments.of(ConnectionKind.CONTROL, UP, message(4)), // what became of it
        Arguments.of(ConnectionKind.URGENT, UP, new Fault.AtByte(1_001)),
        Arguments.of(ConnectionKind.URGENT, DOWN, new Fault.AtByte(100_001)),
        Arguments.of(ConnectionKind.STREAM, DOWN, new Fault.AtByte(20)),
        Arguments.of(ConnectionKind.STREAM, DOWN, new Fault.AtByte(1_000_001)));
  }

  @ParameterizedTest(name = "{0} {1}, {2}")
  @MethodSource("brokenConnections")
  void whicheverConnectionBreaksAtWhicheverByteTheMigrationGoesOn(
      ConnectionKind kind, LinkDirection direction, Fault.Trigger where) throws IOException {
    Fault fault = new Fault(kind, direction, where, new Fault.Reset(), 1);

    JsonNode status = statusAfter(withEveryLoss("auto"), link -> link.inject(fault));

    assertThat(status.get("breaks").get("count").asInt()).isEqualTo(1);
    assertThat(status.get("breaks").get("longestMillis").asDouble()).isPositive();
  }

  private static Stream<Arguments> breaksInTheMiddleOfAHugePage() {
    return Stream.of(
        Arguments.of(ConnectionKind.URGENT, DOWN, 1_000_001),
        Arguments.of(ConnectionKind.STREAM, DOWN, 3_000_001));
  }

  /** What had come of the huge page stays; its other small ones are asked for once more. */
  @ParameterizedTest(name = "{0} {1}, byte {2}")
  @MethodSource("breaksInTheMiddleOfAHugePage")
  void aBreakInTheMiddleOfAHugePageLosesNothingOfIt(
      ConnectionKind kind, LinkDirection direction, int offset) throws IOException {
    LoopbackSettings settings =
        new LoopbackSettings(HUGE_BYTES, 2, 1, 0, 1, 26, "thread", TIME)
            .with("--memory", "hugetlb", "--huge-loss", "widen");
    Fault fault = new Fault(kind, direction, new Fault.AtByte(offset), new Fault.ResetAll(), 1);

    try (HugePages reserved = HugePages.reserve((int) (HUGE_BYTES >> 21))) {
      JsonNode status = statusAfter(settings, link -> link.inject(fault));

      assertEquals(1, status.get("breaks").get("count").asInt());
    }
  }

  /** Also while the sides tell each other what they have: each attempt gets a little further. */
  @Test
  void breaksThatFollowEachOtherAndASourceOutOfReachAreSurvived() throws IOException {
    JsonNode status =
        statusAfter(
            withEveryLoss("thread"),
            link -> {
              for (int offset : new int[] {300_000, 40, 200_000, 100, 400_000}) {
                link.inject(
                    new Fault(
                        ConnectionKind.STREAM,
                        DOWN,
                        new Fault.AtByte(offset),
                        new Fault.ResetAll(),
                        1));
              }
              // In the first attempt that is GuestResumed, in the next one RecoveryEnd.
              link.inject(new Fault(ConnectionKind.CONTROL, UP, message(3), new Fault.Cut(), 2));
            });

    assertThat(status.get("breaks").get("count").asInt()).isGreaterThanOrEqualTo(3);
  }

  /**
   * The guest runs at the source first: its registers travel, and its walk goes on over a break.
   */
  @Test
  void aRunningGuestDoesNotNoticeABreakButByTheTimeItTakes() throws IOException {
    LoopbackSettings awake =
        new LoopbackSettings(MEMORY_BYTES, 2, 9, 0, 5, 25, "kvm", "auto", true, TIME);
    Fault fault =
        new Fault(ConnectionKind.STREAM, DOWN, new Fault.AtByte(500_000), new Fault.ResetAll(), 1);

    JsonNode status = statusAfter(awake, link -> link.inject(fault));

    assertEquals(1, status.get("breaks").get("count").asInt());
  }

  @Test
  void aSourceThatIsOutOfReachForAWhileIsTriedUntilItIsThere() throws IOException {
    JsonNode status =
        statusAfter(
            withEveryLoss("auto"),
            link -> {
              link.inject(
                  new Fault(
                      ConnectionKind.STREAM,
                      DOWN,
                      new Fault.AtByte(500_000),
                      new Fault.ResetAll(),
                      1));
              closeTheRoadWhenItBreaks(link);
            });

    assertThat(status.get("breaks").get("totalMillis").asDouble()).isGreaterThan(500);
  }

  private static void closeTheRoadWhenItBreaks(FaultyLink link) {
    Thread closing =
        new Thread(
            () -> {
              try {
                while (link.count(Fault.ResetAll.class) == 0) {
                  Thread.sleep(1);
                }
                link.refuseFor(Duration.ofMillis(700));
              } catch (IOException | InterruptedException e) {
                throw new IllegalStateException(e);
              }
            },
            "road-works");
    closing.setDaemon(true);
    closing.start();
  }
}
