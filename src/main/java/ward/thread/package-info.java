/**
 * The thread that a session is confined to, and how a thread waits for others.
 *
 * <p>Knows nothing of migrations. Start with {@link ward.thread.SessionThread}.
 */
package ward.thread;
