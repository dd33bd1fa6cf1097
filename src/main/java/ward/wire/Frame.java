package ward.wire;

/**
 * What one frame on a connection says: a control message, a request for pages, an answer about
 * pages, that a stream has ended, or that a peer is alive.
 *
 * <p>Only {@link PageAnswer.Data} holds a resource; see there who releases it.
 */
public sealed interface Frame permits ControlFrame, PageFrame, StreamEnd, Ping, Pong {}
