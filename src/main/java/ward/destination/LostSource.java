package ward.destination;

import java.time.Instant;
import java.util.concurrent.TimeUnit;
import ward.memory.PageSet;
import ward.poison.LedgerException;
import ward.poison.Origin;
import ward.thread.SessionThread;

/**
 * What becomes of a guest whose source is lost: it is here, whole; or what never arrived is taken
 * for poison; or the migration ends as it stands.
 *
 * <p>Confined to the session's thread.
 */
final class LostSource {

  private final DestinationSettings settings;
  private final Course course;
  private final LossAccount losses;
  private final Ending ending;
  private final StageFile stages;
  private final SessionThread thread;

  LostSource(
      DestinationSettings settings,
      Course course,
      LossAccount losses,
      Ending ending,
      StageFile stages,
      SessionThread thread) {
    this.settings = settings;
    this.course = course;
    this.losses = losses;
    this.ending = ending;
    this.stages = stages;
    this.thread = thread;
  }

  /** It could not be reached for so long. */
  void after(long nanos) throws LedgerException {
    because(
        "the source could not be reached for %d s"
            .formatted(TimeUnit.NANOSECONDS.toSeconds(nanos)));
  }

  void because(String text) throws LedgerException {
    if (course.hasRun() && !course.isSourceNeeded()) {
      ending.complete(
          DestinationOutcome.Kind.COMPLETE,
          text
              + "; every page is here, the guest runs on. The source has not said that it lets go");
    } else if (course.hasRun() && settings.sourceLoss().policy() == SourceLoss.Policy.POISON) {
      poisonTheRest(text);
    } else {
      ending.fail(DestinationOutcome.Kind.ABORTED, text);
    }
  }

  /**
   * What never arrived is lost: the guest loses what touches those pages, instead of everything.
   */
  void poisonTheRest(String text) throws LedgerException {
    stages.sourceLost();
    Arrival arrival = course.arrival();
    UnarrivedPages unarrived = UnarrivedPages.of(arrival.layout(), arrival.table());
    Origin origin = new Origin(settings.host(), Instant.now(), Origin.Discovery.SOURCE_LOST);
    arrival
        .recorder()
        .accept(
            unarrived.entries(origin),
            (poisoned, held) -> {
              losses.noted(poisoned, held);
              thread.tryTo(() -> completeWithout(poisoned, text));
            });
  }

  private void completeWithout(PageSet poisoned, String text) {
    if (course.isOver()) {
      return; // given up while the ledger was being written
    }
    ending.complete(
        DestinationOutcome.Kind.SOURCE_LOST,
        "%s: %d of the guest's %d pages had not arrived and are poison now; it runs on here"
            .formatted(text, poisoned.size(), course.arrival().table().pageCount()));
  }
}
