package ward.destination;

import java.io.IOException;
import java.util.Optional;
import ward.memory.MemoryIdentity;
import ward.poison.MigrationRecord;
import ward.thread.SessionThread;

/**
 * The beginning in a home that outlives this process: a process before this one may have died, or
 * have left, in the middle of its session. What it had got done is seen from the guest's memory and
 * the ledger; the source tells the rest, as after a break.
 *
 * <p>Confined to the session's thread.
 */
final class TakeOver {

  private final Inheritance inheritance;
  private final IncomingMap.Arrivals arrivals;
  private final Course course;
  private final SourceContact contact;
  private final IncomingMap map;
  private final Recovery recovery;
  private final LostSource lostSource;
  private final Ending ending;
  private final SessionThread thread;

  TakeOver(
      Inheritance inheritance,
      IncomingMap.Arrivals arrivals,
      Course course,
      SourceContact contact,
      IncomingMap map,
      Recovery recovery,
      LostSource lostSource,
      Ending ending,
      SessionThread thread) {
    this.inheritance = inheritance;
    this.arrivals = arrivals;
    this.course = course;
    this.contact = contact;
    this.map = map;
    this.recovery = recovery;
    this.lostSource = lostSource;
    this.ending = ending;
    this.thread = thread;
  }

  /**
   * @param source for people
   */
  void begin(String source) {
    try {
      Optional<MigrationRecord> left = inheritance.find(source);
      if (left.isPresent()) {
        takeOver(left.get());
      } else {
        contact.dial(1);
      }
    } catch (IOException | RuntimeException e) {
      ending.leaveAsItIs(e);
    }
  }

  private void takeOver(MigrationRecord left) throws IOException {
    String found = moveIn();
    contact.goOn(left.session(), left.attempt());
    map.inherit(identityIn(left), hasRun(left));
    if (hasRun(left)) {
      course.runs();
    }
    recovery.inherit(
        "took over session %s, left in stage %s: %s"
            .formatted(left.session(), left.stage(), found));
    thread.run(() -> goOnFrom(left));
  }

  private String moveIn() throws IOException {
    Inheritance.Inherited inherited = inheritance.moveInto(arrivals);
    course.arrives(inherited.arrival());
    return inherited.found();
  }

  private static MemoryIdentity identityIn(MigrationRecord left) throws InheritanceException {
    return left.memory()
        .orElseThrow(
            () -> new InheritanceException("the record says nothing of the memory: " + left));
  }

  private static boolean hasRun(MigrationRecord left) {
    return left.stage() != MigrationRecord.Stage.MAP_APPLIED;
  }

  private void goOnFrom(MigrationRecord left) throws IOException {
    if (course.hasRun()) {
      wakeTheGuest(course.arrival());
    }
    if (left.stage() == MigrationRecord.Stage.COMPLETE) {
      ending.complete(
          DestinationOutcome.Kind.COMPLETE, "the guest is here, whole, as it was before");
    } else if (inheritance.isSourceLost()) {
      lostSource.poisonTheRest("the source is lost, as a process before this one has found");
    } else {
      recovery.goOn(left.attempt() + 1);
    }
  }

  private void wakeTheGuest(Arrival arrival) throws IOException {
    arrival.faultLoop().start();
    arrival.wakeEverybody();
    arrival.guest().resume(); // it may have been paused, or its process not have heard of it
  }
}
