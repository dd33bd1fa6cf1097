package ward.wire;

/** The connection has sent all the pages it will. Its closing alone never means that. */
public record StreamEnd() implements Frame {}
