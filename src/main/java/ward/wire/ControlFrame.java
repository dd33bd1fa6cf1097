package ward.wire;

/** A control message as a frame; at most 4 MiB of Protocol Buffers. */
public record ControlFrame(ControlMessage message) implements Frame {}
