package ward.poison;

import ward.memory.PageSet;

/**
 * Where two ledgers disagree about what is lost, as guest frame numbers (address {@code >>> 12}).
 *
 * @param onlyHere lost by the ledger that was asked
 * @param onlyThere lost by the ledger it was compared with
 */
public record LedgerDifference(PageSet onlyHere, PageSet onlyThere) {

  /** Whether the ledgers agree. */
  public boolean isEmpty() {
    return onlyHere.isEmpty() && onlyThere.isEmpty();
  }
}
