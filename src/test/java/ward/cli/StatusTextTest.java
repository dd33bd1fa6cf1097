package ward.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.PrintWriter;
import java.io.StringWriter;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.List;
import java.util.Queue;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import ward.destination.DestinationPhase;
import ward.source.SourcePhase;

class StatusTextTest {

  private static final String RUNNING =
      """
      {"role":"destination","phase":"RUNNING","vcpu":"kvm","session":"s-1","attempt":2,
       "peer":{"host":"mars","address":"192.0.2.1:4444"},"cancelling":false,
       "lastError":{"text":"CONTROL connection: reset","time":"2026-01-31T10:02:11Z"},
       "pages":{"guest":"web-7","pagesTotal":4096,"pagesPoisoned":9,"unresolved":1024},
       "waiters":{"count":2,"longestMillis":12.6},
       "faults":{"count":1500,"p50Micros":340.2,"p99Micros":12222.0,"maxMicros":28066.0},
       "breaks":{"count":1,"totalMillis":812.2,"longestMillis":812.2,"waiters":2,"longestWaitMillis":830.9},
       "streamMebibytesPerSecond":171.3,"streamedPages":2000,
       "latePoisonedPages":4,"heldPages":1,"machineChecksInjected":33,"freshlyConsumed":0,"announcedPages":5}""";

  private static final String SERVING =
      """
      {"role":"source","phase":"SERVING","guest":"asleep","machineChecksInjected":0,
       "listening":"192.0.2.1","port":4444,"session":"s-1","attempt":1,
       "peer":{"host":"venus","address":"192.0.2.2:50000"},"cancelling":true,"lastError":null,
       "breaks":0,"streamLimit":1048576,"pagesTotal":4096,"pagesLost":9,"pagesHeld":1,"answered":10,"streamedData":20,
       "streamedZero":30,"foundUnreadable":3,"reported":4}""";

  @Test
  void aDestinationIsSomeAlignedLines() {
    assertThat(StatusText.lines(RUNNING))
        .containsExactly(
            "role        destination",
            "phase       RUNNING: the guest runs here; missing pages come from the source",
            "guest       web-7, by kvm, 33 machine checks, 5 announced",
            "peer        mars at 192.0.2.1:4444, session s-1, attempt 2",
            "pages       3,072 of 4,096 resolved (75 %)",
            "poison      9 pages, 4 of them late; 1 held, 0 met here first",
            "waiting     2 threads for a page, the longest for 13 ms",
            "breaks      1, 812 ms in all, 812 ms the longest; 2 waits over them, 831 ms the longest",
            "stream      2,000 pages, 171 MiB/s",
            "faults      1,500: p50 340 µs, p99 12,222 µs, worst 28,066 µs",
            "last error  CONTROL connection: reset (2026-01-31T10:02:11Z)");
  }

  @Test
  void aSourceIsToo() {
    assertThat(StatusText.lines(SERVING))
        .containsExactly(
            "role        source",
            "phase       SERVING (being cancelled): the guest runs at the destination; missing pages come from here",
            "guest       asleep here, 0 machine checks so far",
            "peer        venus at 192.0.2.2:50000, session s-1, attempt 1",
            "pages       4,096 in all; sent 10 on demand, 20 with data and 30 zero in the background",
            "poison      9 pages lost; 3 found and 4 reported while serving, 1 held",
            "stream      at most 1,048,576 bytes a second",
            "breaks      0",
            "last error  none");
  }

  @Test
  void whatADaemonOfAnotherVersionDoesNotSayIsNoError() {
    assertThat(StatusText.lines("{\"role\":\"destination\",\"phase\":\"FLYING\"}"))
        .contains("phase       FLYING: ", "waiting     nobody");
    assertThat(StatusText.isLast("{\"role\":\"destination\",\"phase\":\"FLYING\"}")).isFalse();
  }

  @Test
  void whatIsNoJsonIsToldAsTheDaemonsFault() {
    assertThatThrownBy(() -> StatusText.lines("{"))
        .isInstanceOf(CommandFailure.class)
        .hasMessageContaining("no JSON object");
  }

  @ParameterizedTest
  @EnumSource
  void everyPhaseOfASourceSaysWhereTheGuestIs(SourcePhase phase) {
    assertThat(PhaseMeaning.of("source", phase.name())).matches(".*(guest|copy|destination).*");
    assertThat(PhaseMeaning.isLast("source", phase.name())).isEqualTo(phase.isLast());
  }

  @ParameterizedTest
  @EnumSource
  void everyPhaseOfADestinationSaysWhatIsGoingOn(DestinationPhase phase) {
    assertThat(PhaseMeaning.of("destination", phase.name())).matches(".*(guest|page|source).*");
    assertThat(PhaseMeaning.isLast("destination", phase.name())).isEqualTo(phase.isLast());
  }

  private static List<String> watched(StatusWatch.Form form, String... seen) throws Exception {
    Queue<String> answers = new ArrayDeque<>(List.of(seen));
    StringWriter out = new StringWriter();
    new StatusWatch(answers::remove, new PrintWriter(out), form).untilEnd(Duration.ofMillis(1));
    assertThat(answers).isEmpty();
    return out.toString().lines().toList();
  }

  @Test
  void aWatchSaysWhatChangesUntilTheEnd() throws Exception {
    String complete = RUNNING.replace("RUNNING", "COMPLETE").replace("1024", "0");

    List<String> lines = watched(StatusWatch.Form.LINE, RUNNING, RUNNING, complete);

    String error = "last error: CONTROL connection: reset (2026-01-31T10:02:11Z)";
    assertThat(lines)
        .containsExactly(
            "RUNNING: 3,072 of 4,096 resolved (75 %), 9 lost, 2 waiting, 1 breaks; " + error,
            "COMPLETE: 4,096 of 4,096 resolved (100 %), 9 lost, 2 waiting, 1 breaks; " + error);
  }

  @Test
  void onATerminalTheLinesAreDrawnInTheSamePlace() throws Exception {
    String complete = RUNNING.replace("RUNNING", "COMPLETE");

    List<String> lines = watched(StatusWatch.Form.SCREEN, RUNNING, complete);

    assertThat(lines).hasSize(2 * 11);
    assertThat(lines.get(11)).isEqualTo("\u001b[11A\u001b[Jrole        destination");
  }

  @Test
  void aDaemonThatIsGoneBeforeTheEndIsNoSuccess() {
    Queue<String> answers = new ArrayDeque<>(List.of(SERVING));
    StatusWatch watch =
        new StatusWatch(
            () -> {
              if (answers.isEmpty()) {
                throw new CommandFailure(ExitCode.HOST_REFUSED, "nobody listens");
              }
              return answers.remove();
            },
            new PrintWriter(new StringWriter()),
            StatusWatch.Form.LINE);

    assertThatThrownBy(() -> watch.untilEnd(Duration.ofMillis(1)))
        .isInstanceOf(CommandFailure.class)
        .hasMessageContaining("its last phase was SERVING");
  }
}
