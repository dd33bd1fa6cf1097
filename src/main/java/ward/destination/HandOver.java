package ward.destination;

import java.io.IOException;
import java.time.Duration;
import ward.memory.PageSet;
import ward.poison.LedgerDigest;
import ward.thread.SessionThread;
import ward.wire.ControlMessage;

/**
 * How the source comes to let go: an audit when no page is missing, the account of every page, and
 * its word that it agrees.
 *
 * <p>Confined to the session's thread, except {@link #finding()} and {@link #digest()}.
 */
final class HandOver {

  private static final Duration SETTLE = Duration.ofMillis(20);

  private final Course course;
  private final SourceContact contact;
  private final LossAccount losses;
  private final Ending ending;
  private final SessionThread thread;
  private volatile Audit.Finding finding; // null before the audit
  private volatile String digest = "";

  HandOver(
      Course course,
      SourceContact contact,
      LossAccount losses,
      Ending ending,
      SessionThread thread) {
    this.course = course;
    this.contact = contact;
    this.losses = losses;
    this.ending = ending;
    this.thread = thread;
  }

  /** Of the latest audit; null before. */
  Audit.Finding finding() {
    return finding;
  }

  /** Of the poison that this migration brought, hexadecimal; empty before the hand-over. */
  String digest() {
    return digest;
  }

  /** Begins it behind what the session does now; from any thread. No page is missing. */
  void beginSoon() {
    thread.run(this::begin);
  }

  private void begin() throws IOException {
    if (!course.is(DestinationPhase.RUNNING)) {
      return;
    }
    finding = course.arrival().audit().run();
    if (finding.mismatchCount() > 0) {
      ending.fail(
          DestinationOutcome.Kind.VERIFICATION_FAILED,
          "%d pages are not as the page table says, among them %s"
              .formatted(finding.mismatchCount(), finding.mismatches()));
    } else if (!finding.agrees()) {
      thread.later(this::begin, SETTLE); // pages are being given back or lost just now
    } else {
      handOver(course.arrival().givenUpFrames(finding.givenUp()));
    }
  }

  /**
   * @param givenUp frames that the source lost; they have content now
   */
  private void handOver(PageSet givenUp) {
    PageCounts counts = course.arrival().resolver().counts();
    LedgerDigest agreed = LedgerDigest.ofFrames(losses.tellGivenUp(givenUp));
    digest = agreed.toString();
    course.enter(DestinationPhase.HANDING_OVER, "no page is missing");
    contact.send(
        new ControlMessage.HandOver(
            counts.data() + counts.givenBack() + givenUp.size(),
            counts.zero(),
            counts.poisoned() - givenUp.size(),
            finding.markers(),
            agreed));
  }

  void onAccepted() {
    course.requireMessageIn(DestinationPhase.HANDING_OVER, "HandOverAccepted");
    contact.send(new ControlMessage.HandOverConfirmed());
    ending.complete(DestinationOutcome.Kind.COMPLETE, "the guest is here; the source has let go");
  }
}
