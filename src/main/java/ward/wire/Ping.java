package ward.wire;

/** Asks a silent peer for a {@link Pong}, on a control connection. */
public record Ping() implements Frame {}
