package ward.source;

import java.util.ArrayList;
import java.util.List;
import ward.thread.SessionThread;
import ward.wire.ControlMessage.Hello;
import ward.wire.FrameWriter;
import ward.wire.PageRequest;
import ward.wire.ProtocolException;

/**
 * When pages go out: requests as soon as the destination may ask, the background streams while the
 * guest runs there.
 *
 * <p>Confined to the session's thread, except {@link #onRequest} and {@link #pause}.
 */
final class Serving {

  private final SourceParts parts;
  private final StreamCursor cursor;
  private final Pace pace;
  private final PageAnswerer answerer;
  private final Course course;
  private final DestinationContact contact;
  private final SessionThread thread;
  private final List<BackgroundStream> streams = new ArrayList<>();

  Serving(
      SourceParts parts,
      StreamCursor cursor,
      Pace pace,
      Course course,
      DestinationContact contact,
      SessionThread thread) {
    this.parts = parts;
    this.cursor = cursor;
    this.pace = pace;
    this.answerer = new PageAnswerer(parts, cursor::faulted);
    this.course = course;
    this.contact = contact;
    this.thread = thread;
  }

  void add(BackgroundStream.Line line, BackgroundStream.Turns turns) {
    BackgroundStream stream = new BackgroundStream(parts, cursor, pace, line, turns);
    streams.add(stream);
    if (course.is(SourcePhase.SERVING)) {
      stream.pump();
    }
  }

  /** Holds the streams back, or lets them go on; from any thread. */
  void pause(boolean pause) {
    cursor.pause(pause);
    thread.run(this::pumpIfServing);
  }

  private void pumpIfServing() {
    if (course.is(SourcePhase.SERVING)) {
      pump();
    }
  }

  /** The guest runs at the destination. */
  void pump() {
    streams.forEach(BackgroundStream::pump);
  }

  /** The connections of the streams are closed. */
  void forgetStreams() {
    streams.clear();
  }

  /**
   * A demand fault; called on the urgent connection's thread.
   *
   * @param out where the answer goes, if it is known at once
   * @param connection the same; for what is known later
   */
  void onRequest(
      Hello peer,
      long requestId,
      long guestPhysicalAddress,
      int pageCount,
      FrameWriter out,
      UrgentConnection connection) {
    if (mayBeAsked()) {
      answerer.answer(requestId, guestPhysicalAddress, pageCount, out, connection);
    } else {
      PageRequest request = new PageRequest(requestId, guestPhysicalAddress, pageCount);
      thread.run(() -> answerInTurn(peer, request, connection));
    }
  }

  private boolean mayBeAsked() {
    return course.is(SourcePhase.MAP_APPLIED) || course.is(SourcePhase.SERVING);
  }

  /** What came before the request on the control connection may still wait for the disk. */
  private void answerInTurn(Hello peer, PageRequest request, UrgentConnection connection) {
    if (course.isOver() || !contact.isPresent(peer) || course.is(SourcePhase.AWAITING_RETURN)) {
      return; // it is asked again by the next connection, if there is one
    }
    if (course.is(SourcePhase.HANDING_OVER)) {
      return; // the page came in the background before its request was read
    }
    if (!mayBeAsked()) {
      throw new ProtocolException("a page request in phase " + course.phase());
    }
    connection.send(
        out ->
            answerer.answer(
                request.requestId(),
                request.guestPhysicalAddress(),
                request.pageCount(),
                out,
                connection));
  }
}
