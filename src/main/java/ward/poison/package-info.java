/**
 * The ledger of a guest's poison: what is lost, since when, and who said so.
 *
 * <p>{@link ward.poison.PoisonLedger} is pure; {@link ward.poison.LedgerJournal} keeps it on disk.
 * Knows nothing of hosts' page tables or peers.
 */
package ward.poison;
