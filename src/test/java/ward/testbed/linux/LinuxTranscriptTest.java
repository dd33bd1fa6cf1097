package ward.testbed.linux;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import ward.testbed.linux.LinuxTranscript.Course;

class LinuxTranscriptTest {

  private static final String AT_SOURCE =
      """
      READY 1.7
      VICTIM page 0x21c5000 pid 95
      ALIVE 1 1.8
      ALIVE 2 2.9
      ALIVE 3 3.9
      PAGE 0x21c5000 hwpoison 0
      OTHER ok 9
      MEMINFO HardwareCorrupted 0 kB
      """;

  private static final String AT_DESTINATION =
      """
      ALIVE 4 5.0
      ALIVE 5 6.0
      ALIVE 6 7.0
      [    7.5] mce: Uncorrected hardware memory error in user-access at 21c5000
      [    7.6] Memory failure: 0x21c5: Sending SIGBUS to init:95 due to hardware memory corruption
      [    7.7] Memory failure: 0x21c5: recovery action for dirty LRU page: Recovered
      VICTIM pid 95 exit -1 signal 7
      PAGE 0x21c5000 hwpoison 1
      OTHER ok 21
      MEMINFO HardwareCorrupted 4 kB
      ALIVE 7 8.0
      ALIVE 8 9.0
      ALIVE 9 10.0
      BYE 9 10.1
      """;

  private static final String WARNED =
      """
      ALIVE 4 5.0
      ALIVE 5 6.0
      ALIVE 6 7.0
      [    7.5] {1}[Hardware Error]:   physical_address: 0x00000000021c5000
      [    7.7] Memory failure: 0x21c5: recovery action for dirty LRU page: Recovered
      PAGE 0x21c5000 hwpoison 1
      OTHER ok 18
      MEMINFO HardwareCorrupted 4 kB
      VICTIM pid 95 exit -1 signal 7
      ALIVE 7 8.0
      ALIVE 8 9.0
      ALIVE 9 10.0
      BYE 9 10.1
      """;

  @Test
  void whatShouldBeSeenHasNoFailures() {
    LinuxTranscript transcript = LinuxTranscript.of(AT_SOURCE, AT_DESTINATION);

    assertThat(transcript.failures(Course.CONSUMED)).isEmpty();
    assertThat(transcript.victim()).contains(new LinuxTranscript.Victim(0x21c5000, 95));
    assertThat(transcript.aliveCount()).isEqualTo(9);
    assertThat(transcript.linesAtSource()).isEqualTo(8);
  }

  /** As arm64's firmware says it. */
  @Test
  void aRecordOfTheFirmwareIsAReportToo() {
    String recorded =
        AT_DESTINATION.replaceAll(
            "mce: Uncorrected.*", "{1}[Hardware Error]:   physical_address: 0x00000000021c5000");

    assertThat(LinuxTranscript.of(AT_SOURCE, recorded).failures(Course.CONSUMED)).isEmpty();
  }

  @Test
  void aGuestThatWasWarnedLosesThePageFirstAndTheProcessLater() {
    LinuxTranscript transcript = LinuxTranscript.of(AT_SOURCE, WARNED);

    assertThat(transcript.failures(Course.WARNED)).isEmpty();
    assertThat(transcript.hasRecovered()).isTrue();
    assertThat(transcript.hasVictimEnded()).isTrue();
  }

  @Test
  void aWarningMayHaveComeBeforeTheMove() {
    List<String> warning = WARNED.lines().filter(line -> line.startsWith("[")).toList();
    String moved = String.join("\n", WARNED.lines().filter(line -> !line.startsWith("[")).toList());
    LinuxTranscript transcript =
        LinuxTranscript.of(AT_SOURCE + String.join("\n", warning) + "\n", moved + "\n");

    assertThat(transcript.failures(Course.WARNED)).isEmpty();
    assertThat(transcript.failures(Course.CONSUMED)).hasSize(3);
  }

  @Test
  void aGuestThatHeardOnlyWhenItTouchedThePageWasNotWarned() {
    assertThat(LinuxTranscript.of(AT_SOURCE, AT_DESTINATION).failures(Course.WARNED))
        .containsExactly(
            "the warning itself killed the victim",
            "the page was touched before the guest said that it is out of use");
    assertThat(LinuxTranscript.of(AT_SOURCE, WARNED).failures(Course.CONSUMED))
        .containsExactly(
            "the guest's kernel did not log \"Memory failure: 0x21c5: Sending SIGBUS to init:95\""
                + " after the move");
  }

  @Test
  void aGuestThatHasNotMovedHasNothingToRecoverFrom() {
    LinuxTranscript transcript = LinuxTranscript.of(AT_SOURCE, "");

    assertThat(transcript.hasRecovered()).isFalse();
    assertThat(transcript.hasVictimEnded()).isFalse();
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "VICTIM page 0x21c5000 pid 95|READY|the guest told of no victim",
        "signal 7|signal 11|\"VICTIM pid 95 exit -1 signal 11\"; process 95 should have been killed by signal 7",
        "VICTIM pid 95 exit|VICTIM pid 1 exit|\"VICTIM pid 1 exit -1 signal 7\"; process 95 should have been killed by signal 7",
        "VICTIM pid 95 exit -1 signal 7|ok|the victim did not end",
        "BYE|VICTIM read 0x5a at 0x21c5321 BYE|the victim read its page, which is lost",
        "0x21c5: Sending|0x21c6: Sending|the guest's kernel did not log \"Memory failure: 0x21c5: Sending SIGBUS to init:95\" after the move",
        "hwpoison 1|hwpoison 0|after the move the kernel's flags of page 0x21c5000 are \"PAGE 0x21c5000 hwpoison 0\"; hwpoison 1 is right",
        "Corrupted 4 kB|Corrupted 8 kB|after the move HardwareCorrupted is 8 kB; 4 is right",
        "Corrupted 0 kB|Corrupted 4 kB|before the move HardwareCorrupted is 4 kB; 0 is right",
        "OTHER ok 21|OTHER damaged 3|the other process did not keep its memory",
        "OTHER ok 21|OTHER ok 9|the other process compared its memory Optional[9] times before the move and Optional[9] after it",
        "ALIVE 5 6.0|ALIVE 4 6.0|line 5 of ALIVE says 4",
        "ALIVE 4 5.0|ALIVE 4 0.1|the guest's clock went back at ALIVE 4",
        "BYE 9 10.1|Kernel panic - not syncing|the guest is in trouble: Kernel panic - not syncing",
        "BYE 9 10.1|ok|the guest did not switch itself off in order"
      })
  void whatIsNotSoIsTold(String seen, String instead, String failure) {
    LinuxTranscript transcript =
        LinuxTranscript.of(AT_SOURCE.replace(seen, instead), AT_DESTINATION.replace(seen, instead));

    assertThat(transcript.failures(Course.CONSUMED))
        .anyMatch(line -> line.equals(failure) || line.contains(failure));
  }

  @Test
  void aGuestThatStandsStillAfterTheLossIsNotAlive() {
    String stopped = AT_DESTINATION.replaceAll("ALIVE [789] .*\\n", "");

    assertThat(LinuxTranscript.of(AT_SOURCE, stopped).failures(Course.CONSUMED))
        .contains("the guest counted 0 seconds after the loss; at least 3 are expected");
  }

  @Test
  void aVictimThatEndedBeforeTheMoveProvesNothing() {
    assertThat(LinuxTranscript.of(AT_SOURCE + AT_DESTINATION, "").failures(Course.CONSUMED))
        .contains("the victim ended before the guest moved");
  }

  @Test
  void aLineThatWasBegunOnOneHostAndEndedOnTheOtherIsOneLine() {
    LinuxTranscript transcript =
        LinuxTranscript.of(AT_SOURCE + "ALI", AT_DESTINATION.replaceFirst("ALI", ""));

    assertThat(transcript.failures(Course.CONSUMED)).isEmpty();
    assertThat(transcript.linesAtSource()).isEqualTo(8);
  }
}
