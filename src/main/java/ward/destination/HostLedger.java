package ward.destination;

import java.io.IOException;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import ward.poison.LedgerException;
import ward.poison.LedgerJournal;

/**
 * This host's ledger of the guest: opened when the guest is known, from the source or before that
 * is dialled, and closed at the very end.
 *
 * <p>Opened on the session's thread, and closed by whoever has waited for the end of that.
 */
final class HostLedger implements AutoCloseable {

  private static final Logger log = LoggerFactory.getLogger(HostLedger.class);

  private final DestinationSession.LedgerOpener opener;
  private volatile LedgerJournal journal; // null until it is opened

  HostLedger(DestinationSession.LedgerOpener opener) {
    this.opener = opener;
  }

  /** Opens it, unless it is open: a guest whose memory is here already is named by that. */
  LedgerJournal open(String guest) throws LedgerException {
    if (journal == null) {
      journal = opener.open(guest);
      journal.warnings().forEach(warning -> log.warn("{}", warning));
    }
    return journal;
  }

  @Override
  public void close() {
    try {
      if (journal != null) {
        journal.close();
      }
    } catch (IOException e) {
      log.warn("closing the ledger: {}", e.getMessage());
    }
  }
}
