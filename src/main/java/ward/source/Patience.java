package ward.source;

import java.time.Duration;
import ward.thread.SessionThread;

/**
 * How long the destination is waited for, one thing at a time: what was waited for earlier, or in
 * another phase, is void.
 *
 * <p>Confined to the session's thread.
 */
final class Patience {

  private final Course course;
  private final SessionThread thread;
  private int waits;

  Patience(Course course, SessionThread thread) {
    this.course = course;
    this.thread = thread;
  }

  void giveUpAfter(Duration time, Runnable what) {
    int of = ++waits;
    SourcePhase waiting = course.phase();
    thread.later(
        () -> {
          if (of == waits && course.is(waiting)) {
            what.run();
          }
        },
        time);
  }
}
