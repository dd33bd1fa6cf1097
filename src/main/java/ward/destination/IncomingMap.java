package ward.destination;

import java.io.IOException;
import java.util.List;
import java.util.Optional;
import ward.guest.Guest;
import ward.guest.GuestFactory;
import ward.memory.GuestLayout;
import ward.memory.MemoryIdentity;
import ward.memory.PageSet;
import ward.memory.TableRoom;
import ward.poison.Departure;
import ward.poison.LedgerDigest;
import ward.poison.LedgerException;
import ward.poison.LedgerJournal;
import ward.poison.PoisonMap;
import ward.thread.SessionThread;
import ward.wire.ControlMessage;
import ward.wire.ControlMessage.Refusal;
import ward.wire.ProtocolException;

/**
 * What the source says before the guest may run here: its shape, all that is lost of it, and that
 * it lets go of the vCPUs. Poison travels first: nothing else happens before the whole map is in
 * the ledger and in the page tables, and the source has heard so.
 *
 * <p>Confined to the session's thread.
 */
final class IncomingMap {

  /** Makes a guest ready to receive its pages. */
  @FunctionalInterface
  interface Arrivals {
    /**
     * @throws IOException if the kernel refuses
     */
    Arrival begin(Guest guest, LedgerJournal journal) throws IOException;
  }

  /** Each takes half a kilobyte here, however few losses came about in it. */
  private static final int CIRCUMSTANCES_MAX = 262_144;

  private final HugeLoss hugeLoss;
  private final TableRoom room;
  private final Course course;
  private final SourceContact contact;
  private final Ending ending;
  private final HostLedger ledger;
  private final StageFile stages;
  private final GuestFactory guests;
  private final Arrivals arrivals;
  private final SessionThread thread;
  private PoisonMap losses = new PoisonMap();
  private MemoryIdentity memory; // what the guest was offered as; null before
  private List<Departure> path = List.of(); // how the guest came here
  private boolean ended;
  private boolean applied;
  private boolean released;

  IncomingMap(
      HugeLoss hugeLoss,
      TableRoom room,
      Course course,
      SourceContact contact,
      Ending ending,
      HostLedger ledger,
      StageFile stages,
      GuestFactory guests,
      Arrivals arrivals,
      SessionThread thread) {
    this.hugeLoss = hugeLoss;
    this.room = room;
    this.course = course;
    this.contact = contact;
    this.ending = ending;
    this.ledger = ledger;
    this.stages = stages;
    this.guests = guests;
    this.arrivals = arrivals;
    this.thread = thread;
  }

  /** What a source must serve that comes after a break. */
  MemoryIdentity memory() {
    return memory;
  }

  /** The hosts that the guest was on, the source last. */
  List<Departure> path() {
    return path;
  }

  /** Whether all of it is in place: from then on a break is survived. */
  boolean isApplied() {
    return applied;
  }

  /** Whether the source has let go of the vCPUs. */
  boolean isReleased() {
    return released;
  }

  /** Another process has applied it. */
  void inherit(MemoryIdentity offered, boolean hasRun) {
    memory = offered;
    applied = true;
    released = hasRun;
  }

  void onOffer(ControlMessage.GuestOffer offer) throws IOException {
    course.requireMessageIn(DestinationPhase.CONNECTING, "GuestOffer");
    requireRoom(offer.layout());
    LedgerJournal journal = ledger.open(offer.layout().guest());
    course.arrives(arrival(offer, journal));
    memory = offer.memory();
    course.enter(DestinationPhase.RECEIVING_MAP, offer.layout().pageCount() + " pages announced");
  }

  /** Before anything is made for the guest. */
  private void requireRoom(GuestLayout layout) throws IOException {
    Optional<String> objection = room.objection(layout.pageCount());
    if (objection.isPresent()) {
      throw new IOException(objection.get());
    }
  }

  private Arrival arrival(ControlMessage.GuestOffer offer, LedgerJournal journal)
      throws IOException {
    Guest guest = guests.create(offer.layout(), offer.vcpuStates());
    try {
      return arrivals.begin(guest, journal);
    } catch (IOException | RuntimeException e) {
      guest.close();
      throw e;
    }
  }

  void onPart(ControlMessage.PoisonMapPart part) {
    requireOpen("PoisonMapPart");
    course.arrival().requireInLayout(part.losses());
    losses.addAll(part.losses());
    if (losses.circumstances() > CIRCUMSTANCES_MAX) {
      throw new ProtocolException(
          "a poison map of losses in more than %d different circumstances"
              .formatted(CIRCUMSTANCES_MAX));
    }
  }

  /** What a host before this one knew as lost, perhaps this one itself when the guest was here. */
  void onGivenUpBefore(ControlMessage.PoisonGivenUp before) {
    requireOpen("PoisonGivenUp");
    Arrival arrival = course.arrival();
    arrival.requireInLayout(before.frames());
    arrival.recorder().afterwards(() -> arrival.journal().appendGivenUp(before.frames()));
  }

  void onEnd(ControlMessage.PoisonMapEnd end) {
    requireOpen("PoisonMapEnd");
    ended = true;
    PoisonMap all = losses;
    losses = new PoisonMap(); // the ledger keeps them from now on
    Arrival arrival = course.arrival();
    String objection = objection(arrival, all);
    if (!objection.isEmpty()) {
      refuse(objection);
      return;
    }
    arrival
        .recorder()
        .acceptMap(
            all,
            (poisoned, held) -> {
              arrival.poisonedFrames().addAll(poisoned);
              thread.tryTo(() -> onApplied(end));
            });
  }

  /** Why the guest is not taken although everything it brings is in order; empty if it is. */
  private String objection(Arrival arrival, PoisonMap all) {
    if (hugeLoss == HugeLoss.WIDEN || arrival.unitPages() == 1) {
      return "";
    }
    PageSet lost = new PageSet();
    all.frames().forEachRun(run -> arrival.layout().pagesOf(run).forEach(lost::add));
    return Widening.objection(lost, arrival.unitPages());
  }

  private void requireOpen(String message) {
    course.requireMessageIn(DestinationPhase.RECEIVING_MAP, message);
    if (ended) {
      throw new ProtocolException(message + " after PoisonMapEnd; a map has one end");
    }
  }

  private void onApplied(ControlMessage.PoisonMapEnd end) throws LedgerException {
    if (course.isOver()) {
      return; // given up while the ledger was being written
    }
    PageSet lost = course.arrival().journal().ledger().frames();
    LedgerDigest digest = LedgerDigest.ofFrames(lost);
    if (!digest.equals(end.digest()) || lost.size() != end.pages()) {
      refuse(lost, digest, end);
      return;
    }
    stages.mapApplied(memory, contact.session(), contact.attempt());
    applied = true;
    contact.send(new ControlMessage.PoisonMapApplied(lost.size(), digest));
    contact.connectForPages();
  }

  private void refuse(PageSet lost, LedgerDigest digest, ControlMessage.PoisonMapEnd end) {
    String text =
        "the ledger here lists %d lost pages, the source's map %d (digests %s, %s): poison is for ever, so one of them is wrong; compare `ward ledger show` on both hosts, or start with an empty --ledger here"
            .formatted(lost.size(), end.pages(), digest, end.digest());
    refuse(text);
  }

  private void refuse(String text) {
    contact.send(new Refusal(Refusal.Code.POISON_MAP, text));
    ending.fail(DestinationOutcome.Kind.INPUT_REFUSED, text);
  }

  void onReleased(ControlMessage.GuestReleased word) {
    course.requireMessageIn(DestinationPhase.RECEIVING_MAP, "GuestReleased");
    if (!applied || released) {
      throw new ProtocolException(
          "GuestReleased %s; it answers PoisonMapApplied, once"
              .formatted(released ? "again" : "before the poison map was applied"));
    }
    released = true;
    path = word.path();
  }
}
