/**
 * Bytes to records and back: frames, Protocol Buffers, and the bound of every length.
 *
 * <p>Knows nothing of guest memory, phases or retries, and decides nothing: what a peer says is
 * either well formed and handed on, or a {@link ward.wire.ProtocolException}; what arrives with
 * other bytes than were sent is a {@link ward.wire.TransmissionException}. Start with {@link
 * ward.wire.Frame}; {@code proto/wire.proto} has the messages, {@link ward.wire.WardPipeline} the
 * handlers in their order.
 */
package ward.wire;
