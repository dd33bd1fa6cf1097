package ward.poison;

import java.util.List;
import java.util.Optional;

/**
 * A ledger as it was on disk at one moment.
 *
 * @param guest whose it is; empty while no guest has been bound to it
 * @param ledger a copy of its own: recording in it changes nothing on disk
 * @param departures the hosts that the guest was on before, the first one first
 * @param warnings what was wrong, but not fatal; a line each
 */
public record LedgerSnapshot(
    Optional<String> guest,
    PoisonLedger ledger,
    List<Departure> departures,
    List<String> warnings) {

  public LedgerSnapshot {
    departures = List.copyOf(departures);
    warnings = List.copyOf(warnings);
  }
}
