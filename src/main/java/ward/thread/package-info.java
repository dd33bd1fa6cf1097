/**
 * The thread that a session is confined to.
 *
 * <p>Knows nothing of migrations. Start with {@link ward.thread.SessionThread}.
 */
package ward.thread;
