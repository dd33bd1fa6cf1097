/**
 * The outgoing side of a migration: phases, reading pages that may be poisoned, answering demand
 * faults, the background stream.
 *
 * <p>The guest is paused: its memory does not change, it can only be lost. Start with {@link
 * ward.source.SourceSession}, whose parts know those below them and never the session, then {@link
 * ward.source.PageReader}.
 */
package ward.source;
