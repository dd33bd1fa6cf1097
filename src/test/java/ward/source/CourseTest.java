package ward.source;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import ward.wire.ProtocolException;

class CourseTest {

  private final List<String> heard = new ArrayList<>();
  private final Course course =
      new Course(
          new SourceListener() {
            @Override
            public void onPhase(SourcePhase previous, SourcePhase next, String reason) {
              heard.add("%s %s %s".formatted(previous, next, reason));
            }
          });

  private void goTo(SourcePhase... phases) {
    for (SourcePhase phase : phases) {
      course.enter(phase, "test");
    }
  }

  @Test
  void aBreakIsRememberedByThePhaseThatItInterrupted() {
    goTo(SourcePhase.SENDING_MAP, SourcePhase.MAP_APPLIED, SourcePhase.SERVING);

    course.breakOff("the line was cut");

    assertEquals(SourcePhase.AWAITING_RETURN, course.phase());
    assertEquals(SourcePhase.SERVING, course.beforeAnyBreak());
    assertThat(course.whereTheGuestIs()).startsWith("the guest ran at the destination");
    assertThat(heard).last().isEqualTo("SERVING AWAITING_RETURN the line was cut");
  }

  @Test
  void whatWasAgreedStaysAgreedOverABreak() {
    goTo(SourcePhase.SENDING_MAP, SourcePhase.MAP_APPLIED, SourcePhase.SERVING);
    assertThat(course.hasAgreed()).isFalse();

    goTo(SourcePhase.HANDING_OVER);
    course.breakOff("the line was cut");

    assertThat(course.hasAgreed()).isTrue();
  }

  @Test
  void aGuestFromAProcessThatDiedIsWholeButForItsVcpus() {
    assertThat(course.wholeHere()).endsWith("it is whole here");

    course.goOn("another process began it");

    assertThat(course.wholeHere()).endsWith("what its vCPUs held in the process that died");
    assertThat(course.whereTheGuestIs()).contains("may have run at the destination");
  }

  @Test
  void noPhaseIsSkippedAndNobodyHearsOfIt() {
    assertThrows(IllegalStateException.class, () -> course.enter(SourcePhase.SERVING, "too soon"));

    assertEquals(SourcePhase.LISTENING, course.phase());
    assertThat(heard).isEmpty();
  }

  @Test
  void aMessageOfAnotherPhaseBreaksTheProtocolAndIsNamed() {
    var e =
        assertThrows(
            ProtocolException.class,
            () -> course.requireMessageIn(SourcePhase.SERVING, "HandOver"));

    assertThat(e).hasMessage("HandOver in phase LISTENING; it belongs to phase SERVING");
  }
}
