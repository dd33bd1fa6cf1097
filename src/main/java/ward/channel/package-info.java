/**
 * Connections that carry pages, off the event loops: a thread waits in each, and a page goes from
 * the socket to where an ioctl takes it without an object or a copy on the way.
 *
 * <p>Knows frames and sockets, nothing of guest memory, phases or retries. Start with {@link
 * ward.channel.PageChannel}.
 */
package ward.channel;
