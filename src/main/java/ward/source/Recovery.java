package ward.source;

import io.netty.channel.Channel;
import java.io.IOException;
import java.time.Duration;
import java.util.Optional;
import ward.thread.SessionThread;
import ward.wire.ConnectionKind;
import ward.wire.ControlMessage.Hello;
import ward.wire.ProtocolException;

/**
 * From a broken connection to the return of the same destination, or to the end of the waiting:
 * what a break means, and for how long. What the two sides then tell each other is {@link
 * Exchange}'s.
 *
 * <p>Confined to the session's thread.
 */
final class Recovery {

  private static final Duration LAST_WORDS_WITHIN = Duration.ofMillis(300);

  private final Optional<Duration> returnWithin;
  private final Course course;
  private final DestinationContact contact;
  private final Serving serving;
  private final HandOver handOver;
  private final Exchange exchange;
  private final Ending ending;
  private final Patience patience;
  private final SessionThread thread;

  /**
   * @param returnWithin how long a destination is waited for; for ever if empty
   */
  Recovery(
      Optional<Duration> returnWithin,
      Course course,
      DestinationContact contact,
      Serving serving,
      HandOver handOver,
      Exchange exchange,
      Ending ending,
      Patience patience,
      SessionThread thread) {
    this.returnWithin = returnWithin;
    this.course = course;
    this.contact = contact;
    this.serving = serving;
    this.handOver = handOver;
    this.exchange = exchange;
    this.ending = ending;
    this.patience = patience;
    this.thread = thread;
  }

  /**
   * A connection of the session is gone.
   *
   * @param cause null if the peer closed it without a word
   */
  void onLost(Hello hello, Throwable cause) {
    if (!contact.isPresent(hello) || course.isOver()) {
      return;
    }
    if (course.is(SourcePhase.HANDING_OVER) && hello.kind() != ConnectionKind.CONTROL) {
      return; // a destination that has everything closes these, in any order
    }
    String what = cause == null ? "the destination closed it" : cause.getMessage();
    String text = "%s connection: %s".formatted(hello.kind(), what);
    if (hello.kind() == ConnectionKind.CONTROL || cause instanceof ProtocolException) {
      onBreak(text, cause);
    } else {
      breakUnlessExplained(hello, text, cause);
    }
  }

  /** A destination that ends says so on another connection, which may arrive a little later. */
  private void breakUnlessExplained(Hello hello, String text, Throwable cause) {
    thread.later(
        () -> {
          if (contact.isPresent(hello) && !course.isOver()) {
            onBreak(text, cause);
          }
        },
        LAST_WORDS_WITHIN);
  }

  private void onBreak(String text, Throwable cause) {
    if (cause instanceof ProtocolException) {
      ending.fail(SourceOutcome.Kind.PEER_REFUSED, text);
    } else if (course.phase().mayBeReturnedTo() && !isOverAtOnce()) {
      awaitReturn(text);
    } else {
      ending.fail(SourceOutcome.Kind.ABORTED, text);
    }
  }

  private boolean isOverAtOnce() {
    return !course.is(SourcePhase.HANDING_OVER)
        && returnWithin.filter(Duration::isZero).isPresent();
  }

  /** All connections go; everything else stays as it is. */
  private void awaitReturn(String text) {
    if (!course.is(SourcePhase.AWAITING_RETURN)) {
      course.breakOff(text);
      if (course.hasAgreed()) {
        handOver.awaitConfirmation();
      } else {
        giveUpWhenTooLong();
      }
    }
    endConnections();
  }

  void giveUpWhenTooLong() {
    returnWithin.ifPresent(time -> patience.giveUpAfter(time, this::stopWaiting));
  }

  private void stopWaiting() {
    ending.fail(
        SourceOutcome.Kind.ABORTED,
        "the destination did not come back within %d s"
            .formatted(returnWithin.orElseThrow().toSeconds()));
  }

  private void endConnections() {
    contact.end();
    serving.forgetStreams();
    handOver.forget();
    exchange.forget();
  }

  /** The same destination, by another attempt; this side may not have noticed the break. */
  void onReturn(Hello hello, Channel channel) throws IOException {
    if (!course.is(SourcePhase.AWAITING_RETURN)) {
      awaitReturn("the destination has given these connections up");
    }
    endConnections();
    contact.meet(hello, channel);
    exchange.begin();
  }
}
