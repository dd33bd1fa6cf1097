package ward.source;

import io.netty.channel.Channel;
import java.io.IOException;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import ward.memory.GuestLayout;
import ward.memory.MemoryIdentity;
import ward.memory.PageSet;
import ward.memory.Pages;
import ward.poison.Departure;
import ward.poison.LedgerException;
import ward.poison.LedgerJournal;
import ward.poison.MigrationRecord;
import ward.thread.SessionThread;
import ward.wire.ControlMessage;
import ward.wire.ControlMessage.Hello;
import ward.wire.ControlMessage.Refusal;

/**
 * What the destination is told of the guest before it may run it: its shape, and all that is lost
 * of it. Poison travels first: the whole map goes out before a page does.
 *
 * <p>Confined to the session's thread.
 */
final class Offer {

  private final SourceParts parts;
  private final DepartingGuest guest;
  private final LedgerJournal journal;
  private final String host;
  private final MemorySamples samples;
  private final MigrationBook book;
  private final Course course;
  private final DestinationContact contact;
  private final Ending ending;
  private MemoryIdentity memory; // null until the guest stands still
  private PreparedMap map; // null at first
  private List<Departure> path = List.of();

  /**
   * @param host this one, as the guest's path names it
   * @throws IOException if the ledger lists pages that the guest does not have
   */
  Offer(
      SourceParts parts,
      SourceSession.Subject subject,
      String host,
      MigrationBook book,
      Course course,
      DestinationContact contact,
      Ending ending)
      throws IOException {
    this.parts = parts;
    this.guest = subject.guest();
    this.journal = subject.journal();
    this.host = host;
    this.samples = new MemorySamples(parts);
    this.book = book;
    this.course = course;
    this.contact = contact;
    this.ending = ending;
    startFromLedger();
  }

  private void startFromLedger() throws IOException {
    requireLedgerInLayout();
    parts.lost().startFromLedger();
    prepareMap();
  }

  /** While nobody waits for it: the guest stands still from the destination's arrival on. */
  private void prepareMap() {
    if (map == null || !map.isUpToDate(journal.ledger())) {
      map = PreparedMap.of(journal.ledger());
    }
  }

  private void requireLedgerInLayout() throws IOException {
    GuestLayout layout = parts.layout();
    PageSet outside = journal.ledger().frames();
    outside.removeAll(layout.frames());
    if (!outside.isEmpty()) {
      throw new IOException(
          "the ledger lists %d pages outside the memory of guest %s, the first at guest-physical address 0x%x: it belongs to another layout of this guest"
              .formatted(outside.size(), layout.guest(), outside.first() << Pages.SHIFT));
    }
  }

  /**
   * Another process has made it.
   *
   * @throws IOException if this is not the memory that was served; what differs is in the message
   */
  void goOn(MigrationRecord earlier) throws IOException {
    memory = book.goOn(earlier);
    Optional<String> contradiction = memory.contradiction(parts.layout());
    if (contradiction.isEmpty()) { // of another layout, no page is what it was called
      contradiction = memory.contradiction(samples.again(memory));
    }
    if (contradiction.isPresent()) {
      throw new IOException(
          "this is not the memory that was served to %s: %s"
              .formatted(earlier.peer(), contradiction.get()));
    }
    path = pathToTheNext(earlier.time()); // the destination may not have heard it
  }

  /** The first destination has come. */
  void make(Hello hello, Channel channel) throws IOException {
    orSayWhyNot(
        () -> {
          book.offered(hello, addressOf(channel));
          sendGuest();
        });
  }

  private static String addressOf(Channel channel) {
    return String.valueOf(channel.remoteAddress()).replaceFirst("^[^/]*/", "");
  }

  private void orSayWhyNot(SessionThread.Step step) throws IOException {
    try {
      step.run();
    } catch (IOException e) {
      contact.send(
          new Refusal(
              Refusal.Code.HOST, "the source cannot give the guest away: " + e.getMessage()));
      throw e;
    }
  }

  /** What the guest met while it ran here is in the ledger when it stands still. */
  private void sendGuest() throws IOException {
    byte[] vcpuStates = guest.leave();
    startFromLedger();
    memory = samples.draw(contact.session());
    contact.send(new ControlMessage.GuestOffer(memory, vcpuStates));
    prepareMap(); // a sampled page may have turned out to be lost
    parts.listener().mapBegun();
    map.messages().forEach(contact::send);
    parts.lost().inTheMap(journal.ledger().frames());
  }

  void onMapApplied(ControlMessage.PoisonMapApplied applied) throws IOException {
    course.requireMessageIn(SourcePhase.SENDING_MAP, "PoisonMapApplied");
    parts.listener().mapAnswered();
    if (!map.end().isAnsweredBy(applied)) {
      refuse(applied);
      return;
    }
    orSayWhyNot(() -> book.mapApplied(memory));
    course.enter(SourcePhase.MAP_APPLIED, applied.pages() + " poisoned pages in place");
    path = pathToTheNext(book.time());
    release();
  }

  private void refuse(ControlMessage.PoisonMapApplied applied) {
    String text =
        "the destination applied a poison map of %d pages, digest %s; this one has %d, digest %s"
            .formatted(applied.pages(), applied.digest(), map.end().pages(), map.end().digest());
    contact.send(new Refusal(Refusal.Code.POISON_MAP, text));
    ending.fail(SourceOutcome.Kind.PEER_REFUSED, text);
  }

  /** The destination may run the guest; said again if it has not heard it. */
  void release() {
    contact.send(new ControlMessage.GuestReleased(path));
  }

  /** How the guest came here, and that it leaves now. */
  private List<Departure> pathToTheNext(Instant leaves) {
    List<Departure> hops = new ArrayList<>(journal.departures());
    hops.add(new Departure(host, leaves));
    return hops.subList(Math.max(0, hops.size() - ControlMessage.HOPS_MAX), hops.size());
  }

  /** What the pages of the offer hold now: whoever has come back knows this side by them. */
  MemoryIdentity memoryNow() throws LedgerException {
    return samples.again(memory);
  }
}
