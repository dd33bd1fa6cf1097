package ward.cli;

import java.time.Instant;
import java.util.Locale;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.function.Supplier;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import ward.guest.GuestMemory;
import ward.poison.Origin;
import ward.poison.PoisonEntry;
import ward.poison.Severity;
import ward.vcpu.MemoryError;

/**
 * One line for each memory error, for programs that watch the log; logger {@code ward.poison}.
 *
 * <pre>
 * event=injected gpa=0x5000 hva=0x7f21c0005000 lsb=12 severity=action_required host="mars"
 *   time=2026-01-31T10:02:11.123Z discovery=declared input=sigbus_action_required vcpu=0
 *   done="machine check bank 9 status 0xbd..."
 * </pre>
 *
 * <p>All on one line, every key always, in this order, {@code -} where there is nothing to say.
 * {@code host}, {@code time} and {@code discovery} are the loss's origin, by the ledger; {@code
 * hva} is in this process. Texts are in double quotes and hold none.
 */
final class PoisonLog {

  private static final Logger log = LoggerFactory.getLogger("ward.poison");

  /** What the line is about. */
  enum Event {
    /** A source could not read the page. */
    FOUND,
    /** A control command named it. */
    REPORTED,
    /** A destination was told of it after the guest was there. */
    LATE,
    /** The page had been copied before it was lost. */
    HELD,
    /** A part of a huge page is lost, and so all of it is. */
    WIDENED,
    /** The source was lost with the page. */
    SOURCE_LOST,
    /** The guest ran into a loss that no ledger knew. */
    CONSUMED,
    /** The guest was told of a loss that it, or a device for it, met; or that the host found. */
    INJECTED,
    /** The guest was told of a known loss before it met it. */
    ANNOUNCED,
    /** The guest could not be told, and was stopped. */
    GIVEN_UP
  }

  private static final String NOTHING = "-";

  private volatile Supplier<GuestMemory> memory = () -> null;

  /**
   * @param where the guest's memory in this process; null while there is none
   */
  void locateBy(Supplier<GuestMemory> where) {
    memory = where;
  }

  /** A loss, as the ledger has it. */
  void entry(Event event, PoisonEntry entry, String input, String done) {
    write(
        event,
        OptionalLong.of(entry.guestPhysicalAddress()),
        entry.pageShift(),
        entry.severity(),
        Optional.of(entry.origin()),
        input,
        -1,
        done);
  }

  /** Something that came of a loss for the guest that runs here. */
  void error(Event event, MemoryError error, Optional<Origin> origin, String done) {
    write(
        event,
        error.guestPhysicalAddress(),
        error.lsb(),
        error.severity(),
        origin,
        word(error.input()),
        error.vcpu(),
        done);
  }

  private void write(
      Event event,
      OptionalLong address,
      int lsb,
      Severity severity,
      Optional<Origin> origin,
      String input,
      int vcpu,
      String done) {
    log.info(
        "event={} gpa={} hva={} lsb={} severity={} host={} time={} discovery={} input={} vcpu={} done={}",
        word(event),
        hexadecimal(address),
        hexadecimal(hostAddress(address)),
        lsb,
        word(severity),
        origin.map(Origin::host).map(PoisonLog::quoted).orElse(NOTHING),
        origin.map(Origin::time).map(Instant::toString).orElse(NOTHING),
        origin.map(Origin::discovery).map(PoisonLog::word).orElse(NOTHING),
        input,
        vcpu < 0 ? NOTHING : vcpu,
        quoted(done));
  }

  private OptionalLong hostAddress(OptionalLong address) {
    GuestMemory present = memory.get();
    if (present == null || address.isEmpty()) {
      return OptionalLong.empty();
    }
    OptionalLong page = present.layout().pageAt(address.getAsLong());
    return page.isEmpty()
        ? OptionalLong.empty()
        : OptionalLong.of(present.hostAddressOf(page.getAsLong()));
  }

  private static String hexadecimal(OptionalLong address) {
    return address.isPresent() ? "0x%x".formatted(address.getAsLong()) : NOTHING;
  }

  private static String word(Enum<?> value) {
    return value.name().toLowerCase(Locale.ROOT);
  }

  private static String quoted(String text) {
    return '"' + text.replaceAll("\\p{Cntrl}", " ").replace('"', '\'') + '"';
  }
}
