/**
 * A guest whose memory and vCPUs belong to another process: the words that are said to it over a
 * UNIX socket ({@code proto/owner.proto}), and the guest as the rest of Ward sees it.
 *
 * <p>Knows no migration. Start with {@link ward.owner.OwnerConnection}.
 */
package ward.owner;
