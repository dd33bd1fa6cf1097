package ward.wire;

/** The answer to a {@link Ping}, by the process and not only its kernel. */
public record Pong() implements Frame {}
