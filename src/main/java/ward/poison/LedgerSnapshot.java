package ward.poison;

import java.util.List;
import java.util.Optional;

/**
 * A ledger as it was on disk at one moment.
 *
 * @param guest whose it is; empty while no guest has been bound to it
 * @param ledger a copy of its own: recording in it changes nothing on disk
 * @param warnings what was wrong, but not fatal; a line each
 */
public record LedgerSnapshot(Optional<String> guest, PoisonLedger ledger, List<String> warnings) {

  public LedgerSnapshot {
    warnings = List.copyOf(warnings);
  }
}
