/**
 * The incoming side of a migration: phases, the page table, the fault loop, resolving.
 *
 * <p>Knows guest memory only by address: no class here loads from or stores to it. Start with
 * {@link ward.destination.DestinationSession}, whose parts know those below them and never the
 * session, then {@link ward.destination.PageTable}.
 */
package ward.destination;
